#include "results/report/report.hpp"

#include "harness/core/check.hpp"
#include "results/figure/drawing.hpp"
#include "results/store.hpp"

namespace arena {

bool write_report(std::span<const Record> records, const ReportRequest& request,
                  const std::string& file) {
  constexpr std::string_view kSuffix = ".html";
  check(file.size() > kSuffix.size() && file.ends_with(kSuffix),
        "'{}': the name of a report ends in {}", file, kSuffix);
  check(!records.empty(), "no records to make a report of");
  const std::vector<Record> all(records.begin(), records.end());
  const RecordSet set{.records = all, .labels = Labels(all), .stale = request.stale};
  const std::string folder = file.substr(0, file.size() - kSuffix.size()) + "_figures";
  std::vector<Drawn> drawn;
  const std::vector<Figure> figures = figures_of(set);
  for (const Figure& figure : figures) {
    const auto svg = run_gnuplot(gnuplot_script(figure, PictureFormat::kSvg));
    if (!svg) break;
    drawn.push_back({figure, themed_svg(figure, *svg)});
    create_folder(folder);
    write_file_atomically(folder + "/" + figure.id + ".svg", standalone_svg(drawn.back().svg));
    if (const auto pdf = picture(figure, PictureFormat::kPdf)) {
      write_file_atomically(folder + "/" + figure.id + ".pdf", *pdf);
    }
  }
  write_file_atomically(file, report_page(records, request, drawn));
  return drawn.size() == figures.size();
}

}  // namespace arena
