#include "results/published_lra.hpp"

#include <array>

namespace arena {
namespace {

constexpr double kFail = PublishedAccuracy::kFail, kNone = PublishedAccuracy::kNone;

// By source; within it as printed, what has no counterpart here at the end.
constexpr std::array kAccuracies{
    PublishedAccuracy{"blocked", "LRA", "Transformer", {36.37, 64.27, 57.46, 42.44, 71.40, kFail}},
    PublishedAccuracy{"local", "LRA", "Local", {15.82, 52.98, 53.39, 41.46, 66.63, kFail}},
    PublishedAccuracy{"fixed", "LRA", "Sparse", {17.07, 63.58, 59.59, 44.24, 71.71, kFail}},
    PublishedAccuracy{
        "longformer", "LRA", "Longformer", {35.63, 62.85, 56.89, 42.22, 69.71, kFail}},
    PublishedAccuracy{"linformer", "LRA", "Linformer", {35.70, 53.94, 52.27, 38.56, 76.34, kFail}},
    PublishedAccuracy{"reformer", "LRA", "Reformer", {37.27, 56.10, 53.40, 38.07, 68.50, kFail}},
    PublishedAccuracy{"sinkhorn", "LRA", "Sinkhorn", {33.67, 61.20, 53.83, 41.23, 67.45, kFail}},
    PublishedAccuracy{
        "synthesizer", "LRA", "Synthesizer", {36.99, 61.68, 54.67, 41.61, 69.45, kFail}},
    PublishedAccuracy{"bigbird", "LRA", "BigBird", {36.05, 64.02, 59.29, 40.83, 74.87, kFail}},
    PublishedAccuracy{
        "linear", "LRA", "Linear Transformer", {16.13, 65.90, 53.09, 42.34, 75.30, kFail}},
    PublishedAccuracy{"performer", "LRA", "Performer", {18.01, 65.40, 53.82, 42.77, 77.05, kFail}},
    PublishedAccuracy{
        "blocked", "Nyströmformer", "Transformer", {37.10, 65.02, 79.35, 38.20, 74.16, kNone}},
    PublishedAccuracy{
        "reformer", "Nyströmformer", "Reformer", {19.05, 64.88, 78.64, 43.29, 69.36, kNone}},
    PublishedAccuracy{
        "linformer", "Nyströmformer", "Linformer", {37.25, 55.91, 79.37, 37.84, 67.60, kNone}},
    PublishedAccuracy{
        "performer", "Nyströmformer", "Performer", {18.80, 63.81, 78.62, 37.07, 69.87, kNone}},
    PublishedAccuracy{"nystromformer",
                      "Nyströmformer",
                      "Nyströmformer",
                      {37.15, 65.52, 79.56, 41.58, 70.94, kNone}},
    PublishedAccuracy{
        "blocked", "Skyformer", "Self-attention", {38.37, 61.95, 80.69, 40.57, 65.26, kNone}},
    PublishedAccuracy{
        "nystromformer", "Skyformer", "Nyströmformer", {38.51, 64.83, 80.52, 41.30, 69.48, kNone}},
    PublishedAccuracy{
        "linformer", "Skyformer", "Linformer", {37.45, 58.93, 78.19, 37.96, 60.93, kNone}},
    PublishedAccuracy{
        "performer", "Skyformer", "Performer", {38.02, 64.19, 80.04, 41.43, 66.30, kNone}},
    PublishedAccuracy{
        "reformer", "Skyformer", "Reformer", {37.68, 62.93, 78.99, 48.87, 66.49, kNone}},
    PublishedAccuracy{
        "bigbird", "Skyformer", "BigBird", {39.25, 63.86, 80.28, 43.16, 68.72, kNone}},
    PublishedAccuracy{"", "Skyformer", "Kernelized", {38.78, 60.22, 81.77, 41.29, 70.73, kNone}},
    PublishedAccuracy{"", "Skyformer", "Informer", {32.53, 62.64, 77.57, 38.10, 57.83, kNone}},
    PublishedAccuracy{"", "Skyformer", "Skyformer", {38.69, 64.70, 82.06, 40.77, 70.73, kNone}},
    PublishedAccuracy{"blocked", "xformers", "Standard", {37.5, 62.66, 79.24, 38.69, 70.37, kNone}},
    PublishedAccuracy{
        "nystromformer", "xformers", "Nyström-128", {36.29, 63.24, 78.18, 42.86, 67.49, kNone}},
    PublishedAccuracy{
        "performer", "xformers", "Favor-256", {19.56, 62.76, 81.1, 36.09, 67.23, kNone}},
    PublishedAccuracy{
        "linformer", "xformers", "Linformer, k = L/4", {36.69, 57.39, 76.41, 35.57, 65.12, kNone}},
    PublishedAccuracy{"", "xformers", "FourierMix", {36.29, 60.72, 76.41, 36.53, 54.07, kNone}},
    PublishedAccuracy{"", "xformers", "Lambda", {19.76, 62.47, 79.11, 35.04, 49.74, kNone}},
    PublishedAccuracy{"", "xformers", "Orthoformer-32", {27.42, 63.96, 77.96, 34.5, 67.11, kNone}},
    PublishedAccuracy{
        "blocked", "Mega", "Transformer, run again", {37.11, 65.21, 79.14, 42.94, 71.83, kFail}},
    PublishedAccuracy{"", "Mega", "Luna-256", {37.98, 65.78, 79.56, 47.86, 78.55, kFail}},
    PublishedAccuracy{"", "Mega", "S4 v2, run again", {59.10, 86.53, 90.94, 88.48, 94.01, 96.07}},
    PublishedAccuracy{"", "Mega", "Mega", {63.14, 90.43, 91.25, 90.44, 96.01, 97.98}},
    PublishedAccuracy{"", "Mega", "Mega-chunk", {58.76, 90.19, 90.97, 85.80, 94.41, 93.81}},
    PublishedAccuracy{"", "S4", "S4 v1", {58.35, 76.02, 87.09, 87.26, 86.05, 88.10}},
    PublishedAccuracy{"", "S4", "S4 v2", {59.60, 86.82, 90.90, 88.65, 94.20, 96.35}},
    PublishedAccuracy{"", "S4", "FNet", {35.33, 65.11, 59.61, 38.67, 77.80, kFail}},
    PublishedAccuracy{"", "S4", "Luna-256", {37.25, 64.57, 79.29, 47.38, 77.72, kFail}},
    PublishedAccuracy{
        "blocked", "FlashAttention", "Transformer", {36.0, 63.6, 81.6, 42.3, 72.7, kNone}},
    PublishedAccuracy{
        "blocked", "FlashAttention", "FlashAttention", {37.6, 63.9, 81.4, 43.5, 72.7, 61.4}},
    PublishedAccuracy{
        "linformer", "FlashAttention", "Linformer", {35.6, 55.9, 77.7, 37.8, 67.6, kNone}},
    PublishedAccuracy{"linear", "FlashAttention", "Linear", {38.8, 63.2, 80.7, 42.6, 72.5, kNone}},
    PublishedAccuracy{
        "performer", "FlashAttention", "Performer", {36.8, 63.6, 82.2, 42.1, 69.9, kNone}},
    PublishedAccuracy{"local", "FlashAttention", "Local", {36.1, 60.2, 76.7, 40.6, 66.6, kNone}},
    PublishedAccuracy{
        "reformer", "FlashAttention", "Reformer", {36.5, 63.8, 78.5, 39.6, 69.4, kNone}},
    PublishedAccuracy{
        "", "FlashAttention", "block-sparse Flash", {37.0, 63.0, 81.3, 43.6, 73.3, 56.0}},
    PublishedAccuracy{"", "FlashAttention", "Smyrf", {36.1, 64.1, 79.0, 39.6, 70.5, kNone}},
};

// Some cells look like slips of the paper (Synthesizer at 3K, Linformer at 3K); they stand as
// printed.
constexpr std::array kSpeeds{
    PublishedSpeed{"blocked", "Transformer", {8.1, 4.9, 2.3, 1.4}, {0.85, 2.65, 5.51, 9.48}},
    PublishedSpeed{"local", "Local", {9.2, 8.4, 7.4, 7.4}, {0.42, 0.76, 1.06, 1.37}},
    PublishedSpeed{"linformer", "Linformer", {9.3, 9.1, 8.5, 7.7}, {0.37, 0.55, 0.99, 0.99}},
    PublishedSpeed{"reformer", "Reformer", {4.4, 2.2, 1.5, 1.1}, {0.48, 0.99, 1.53, 2.28}},
    PublishedSpeed{"sinkhorn", "Sinkhorn", {9.1, 7.9, 6.6, 5.3}, {0.47, 0.83, 1.13, 1.48}},
    PublishedSpeed{"synthesizer", "Synthesizer", {8.7, 5.7, 6.6, 1.9}, {0.65, 1.98, 4.09, 6.99}},
    PublishedSpeed{"bigbird", "BigBird", {7.4, 3.9, 2.7, 1.5}, {0.77, 1.49, 2.18, 2.88}},
    PublishedSpeed{"linear", "Linear Transformer", {9.1, 9.3, 8.6, 7.8}, {0.37, 0.57, 0.80, 1.03}},
    PublishedSpeed{"performer", "Performer", {9.5, 9.4, 8.7, 8.0}, {0.37, 0.59, 0.82, 1.06}},
};

constexpr std::array kSetups{
    PublishedSetup{"LRA",
                   "Tay et al. 2021, Long Range Arena, tables 1 and 2; speed on bytes of "
                   "text with batch 32 on a 4x4 TPU v3, memory per device"},
    PublishedSetup{"Nyströmformer",
                   "Xiong et al. 2021, and their code for Image; 2 layers, width 64: the model of "
                   "preset paper"},
    PublishedSetup{
        "Skyformer",
        "Chen et al. 2021, tables 1 and 2; 2 layers, width 64, 50,000 steps, 3 seeds, ListOps "
        "without brackets"},
    PublishedSetup{"xformers", "its former benchmark page; one 2-layer model for all tasks"},
    PublishedSetup{"Mega", "Ma et al. 2022; learning rates and dropout per task"},
    PublishedSetup{"S4", "Gu et al. 2022, table 10; sizes and training per task"},
    PublishedSetup{"FlashAttention",
                   "Dao et al. 2022, table 3; of each baseline the best of three sources"},
};

}  // namespace

std::span<const PublishedAccuracy> published_accuracies() {
  return kAccuracies;
}
std::span<const PublishedSpeed> published_speeds() {
  return kSpeeds;
}
std::span<const PublishedSetup> published_setups() {
  return kSetups;
}

}  // namespace arena
