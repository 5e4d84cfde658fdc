#pragma once
// Tiny data sets in the official formats, so that the tasks that read one can be tested without it.

#include <array>
#include <string>

#include "tests/data_file.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {

/// `count` CIFAR-10 records with labels 0, 1, .. 9, 0, ..; no two pictures are alike.
inline std::string cifar10_records(std::size_t count, unsigned seed) {
  std::string records;
  for (std::size_t i = 0; i < count; ++i) {
    records += static_cast<char>(i % 10);
    for (std::size_t p = 0; p < 3072; ++p) {
      seed = seed * 1664525U + 1013904223U;
      records += static_cast<char>(seed >> 24U);
    }
  }
  return records;
}

/// `count` reviews of each class and part, of a few words each.
inline void write_reviews(const std::string& folder, int count) {
  constexpr std::array kWords{"a", "story", "of", "people", "who", "find", "one", "another"};
  for (const char* part : {"train", "test"}) {
    for (int i = 0; i < count; ++i) {
      std::string text = part;
      for (int rest = i + 1; rest > 0; rest /= 8) text += std::string(" ") + kWords[rest % 8];
      const std::string place = folder + "/aclImdb/" + part;
      const bool hard = part == std::string("test") && i % 8 == 0;
      write_file(place + "/pos/" + std::to_string(i) + "_8.txt", text + " is fine!");
      write_file(place + "/neg/" + std::to_string(i) + "_2.txt",
                 text + (hard ? " is not fine!" : " is bad"));
    }
  }
}

/// `count` pairs of papers, every other one with a citation.
inline std::string paper_pairs(int count, const std::string& part) {
  std::string rows;
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(i / 4);
    rows += i % 2 == 0 ? "1.0\tP" : "0.0\tP";
    rows += number + "\tQ" + number + "\tpaper " + number + " of " + part + "\ta reply to ";
    rows +=
        (i % 2 == 0 ? number : "nothing") + std::string(static_cast<std::size_t>(i), '.') + "\n";
  }
  return rows;
}

/// `count` sentences of one word of each part of speech, from number `first` on; up to 256 numbers
/// have an order of their own.
inline std::string tagged_sentences(int count, int first) {
  constexpr std::array kTags{"ADJ",   "ADP",   "ADV", "AUX",  "CCONJ", "DET",
                             "INTJ",  "NOUN",  "NUM", "PART", "PRON",  "PROPN",
                             "PUNCT", "SCONJ", "SYM", "VERB", "X"};
  std::string text;
  for (int i = first; i < first + count; ++i) {
    text += "# sent_id = " + std::to_string(i) + "\n";
    for (int w = 0; w < 17; ++w) {
      // Steps of 1 to 16 around a ring of 17 visit every tag; the word "both" has two of them.
      const auto tag = static_cast<std::size_t>((w * (i % 16 + 1) + i / 16) % 17);
      text += std::to_string(w + 1) + "\t" + (tag < 2 ? "both" : "w" + std::to_string(tag)) +
              "\t_\t" + kTags[tag] + "\t_\t_\t_\t_\t_\t_\n";
    }
    text += "\n";
  }
  return text;
}

/// A data folder with a part of every data set, for `partial=true`.
inline const std::string& small_data_dir() {
  static const TemporaryFolder folder;
  static const bool written = [] {
    const std::string cifar = folder.path() + "/cifar-10-batches-bin/";
    write_file(cifar + "data_batch_1.bin", cifar10_records(100, 1));
    write_file(cifar + "test_batch.bin", cifar10_records(30, 2));
    write_reviews(folder.path(), 40);
    for (const char* part : {"train", "eval", "test"}) {
      write_file(folder.path() + "/tsv_data/new_aan_pairs." + part + ".tsv", paper_pairs(50, part));
    }
    int sentences = 0;
    for (const char* part : {"train", "dev", "test"}) {
      write_file(folder.path() + "/en_ewt-ud-" + part + ".conllu", tagged_sentences(40, sentences));
      sentences += 40;
    }
    return true;
  }();
  static_cast<void>(written);
  return folder.path();
}

}  // namespace arena
