# ARENA_ISA -> ARENA_ISA_LEVEL (recorded with every result) and ARENA_ISA_FLAGS.
set(arena_isa_levels x86-64-v2 x86-64-v3 x86-64-v4 native)

function(arena_detect_isa result)
  file(WRITE ${CMAKE_BINARY_DIR}/isa/detect.cpp [[
#include <cstdio>
int main() {
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  std::puts(v4 ? "x86-64-v4" : v3 ? "x86-64-v3" : "x86-64-v2");
}
]])
  try_run(ran compiled ${CMAKE_BINARY_DIR}/isa ${CMAKE_BINARY_DIR}/isa/detect.cpp
    RUN_OUTPUT_VARIABLE level)
  if(NOT compiled OR NOT ran EQUAL 0)
    message(FATAL_ERROR "cannot detect this machine's instruction set; set ARENA_ISA")
  endif()
  string(STRIP "${level}" level)
  set(${result} ${level} PARENT_SCOPE)
endfunction()

if(ARENA_ISA STREQUAL auto)
  if(NOT ARENA_ISA_DETECTED)
    arena_detect_isa(detected)
    set(ARENA_ISA_DETECTED ${detected} CACHE INTERNAL "")
  endif()
  set(ARENA_ISA_LEVEL ${ARENA_ISA_DETECTED})
elseif(ARENA_ISA MATCHES "^v[234]$")
  set(ARENA_ISA_LEVEL x86-64-${ARENA_ISA})
elseif(ARENA_ISA IN_LIST arena_isa_levels)
  set(ARENA_ISA_LEVEL ${ARENA_ISA})
else()
  message(FATAL_ERROR "ARENA_ISA=${ARENA_ISA} is not one of auto, ${arena_isa_levels}")
endif()
set(ARENA_ISA_FLAGS -march=${ARENA_ISA_LEVEL})
# Compilers never use the matrix unit by themselves: what the flags allow is run after a check.
if(ARENA_ISA_LEVEL STREQUAL x86-64-v4)
  list(APPEND ARENA_ISA_FLAGS -mamx-tile -mamx-bf16)
endif()
message(STATUS "Instruction set: ${ARENA_ISA_LEVEL}")
