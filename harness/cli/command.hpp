#pragma once
// One file per sub-command: each declares its options on the app and sets the action to run.

#include <CLI/CLI.hpp>
#include <functional>

namespace arena {

/// Returns the process's exit code (design.md section 6).
using Action = std::function<int()>;

void add_attend(CLI::App& app, Action& action);
void add_baseline(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_cell(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_data(CLI::App& app, Action& action);
void add_doctor(CLI::App& app, Action& action);
void add_list(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_rerun(CLI::App& app, Action& action);
void add_show(CLI::App& app, Action& action);
void add_status(CLI::App& app, Action& action);
void add_submit(CLI::App& app, Action& action);
void add_sweep(CLI::App& app, Action& action);
void add_table(CLI::App& app, Action& action);
void add_train(CLI::App& app, Action& action);

}  // namespace arena
