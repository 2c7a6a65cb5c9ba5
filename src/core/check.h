// CHECK(condition): our own invariants, always compiled in. A failure means a bug of ours; going on
// could lose data, so the process stops with the place and the condition.
#pragma once

namespace sevenfold {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

#define CHECK(condition) \
    ((condition) ? void(0) : ::sevenfold::check_failed(#condition, __FILE__, __LINE__))
