// Which instruction sets this processor has; asked once. An override ("serial", "avx2") serves tests.
#pragma once
#include <cstdlib>

namespace leadline {

enum class Isa { serial = 0, avx2 = 1, avx512 = 2 };

// The best instruction set that both the processor and this build have.
inline Isa detect_isa() {
#if defined(LEADLINE_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vpopcntdq") &&
        __builtin_cpu_supports("avx512bitalg"))
        return Isa::avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) return Isa::avx2;
#endif
    return Isa::serial;
}

inline Isa best_isa() {
    static const Isa isa = detect_isa();
    return isa;
}

}  // namespace leadline
