# System packages (packages.txt); with ARENA_FETCH=ON what is missing is downloaded, pinned.
if(ARENA_FETCH)
  include(FetchContent)
  FetchContent_Declare(fmt URL https://github.com/fmtlib/fmt/archive/refs/tags/9.1.0.tar.gz
    FIND_PACKAGE_ARGS)
  FetchContent_Declare(googletest
    URL https://github.com/google/googletest/archive/refs/tags/release-1.12.1.tar.gz
    FIND_PACKAGE_ARGS NAMES GTest)
  FetchContent_Declare(nlohmann_json
    URL https://github.com/nlohmann/json/archive/refs/tags/v3.11.2.tar.gz FIND_PACKAGE_ARGS)
  FetchContent_Declare(CLI11 URL https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.1.2.tar.gz
    FIND_PACKAGE_ARGS)
  FetchContent_Declare(tomlplusplus
    URL https://github.com/marzer/tomlplusplus/archive/refs/tags/v3.3.0.tar.gz FIND_PACKAGE_ARGS)
  set(BENCHMARK_ENABLE_TESTING OFF)
  FetchContent_Declare(benchmark
    URL https://github.com/google/benchmark/archive/refs/tags/v1.7.1.tar.gz FIND_PACKAGE_ARGS)
  FetchContent_MakeAvailable(fmt googletest nlohmann_json CLI11 tomlplusplus benchmark)
endif()

find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(OpenMP REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(benchmark REQUIRED)
find_package(LibArchive REQUIRED)
find_package(PNG REQUIRED)
find_package(CURL REQUIRED)

# Debian's xsimd target asks for a library that does not exist; only its headers are needed.
find_path(ARENA_XSIMD_INCLUDE xsimd/xsimd.hpp REQUIRED)
add_library(arena_xsimd INTERFACE)
target_include_directories(arena_xsimd SYSTEM INTERFACE ${ARENA_XSIMD_INCLUDE})
