// How long bringing a database back will take: by the rates of the last restores on this host.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "catalog/catalog.h"
#include "core/time.h"

namespace sevenfold::protect {

// What a restore consists of; the names under which the catalog keeps them.
namespace restore_step {
inline constexpr const char* kLogical = "restore-logical";    // loading a logical base
inline constexpr const char* kPhysical = "restore-physical";  // until a server runs on the files
inline constexpr const char* kReplay = "replay";              // of the log, in its bytes
}  // namespace restore_step

struct RestoreRate {
    double bytes_per_second = 0;
    bool measured = false;  // else a cautious guess
};
RestoreRate restore_rate(catalog::Catalog* catalog, const std::string& database, const char* step);

// Keeps the rate of a step that succeeded; says so in the log when that fails.
void remember_restore_rate(const std::string& state_dir, const std::string& database,
                           const char* step, const Time& started, uint64_t bytes);

struct RestorePrediction {
    std::chrono::nanoseconds base{0}, replay{0};
    bool measured = false;  // both of them
    std::chrono::nanoseconds total() const { return base + replay; }
};
// Of a base of that method and size, and of so many bytes of log after it.
RestorePrediction predict_restore(catalog::Catalog* catalog, const std::string& database,
                                  const std::string& method, uint64_t base_bytes,
                                  uint64_t log_bytes);

}  // namespace sevenfold::protect
