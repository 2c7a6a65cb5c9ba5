#include "protect/restore_rate.h"

#include <string_view>

#include "core/error.h"
#include "core/log.h"

namespace sevenfold::protect {
namespace {

constexpr double kMiB = 1 << 20;
// Below this much time the fixed costs are most of it.
constexpr double kShortest = 0.1;

double cautious(std::string_view step) {
    if (step == restore_step::kLogical) return 10 * kMiB;
    if (step == restore_step::kPhysical) return 50 * kMiB;
    return 1 * kMiB;
}

std::chrono::nanoseconds time_for(uint64_t bytes, const RestoreRate& rate) {
    std::chrono::duration<double> seconds(static_cast<double>(bytes) / rate.bytes_per_second);
    return std::chrono::duration_cast<std::chrono::nanoseconds>(seconds);
}

}  // namespace

RestoreRate restore_rate(catalog::Catalog* catalog, const std::string& database, const char* step) {
    RestoreRate rate{cautious(step), false};
    if (!catalog) return rate;
    auto run = catalog->last_run(step, database, "");
    if (!run || !run->succeeded || run->bytes == 0) return rate;
    double seconds = std::chrono::duration<double>(run->ended.since(run->started)).count();
    if (seconds <= kShortest) return rate;
    return {static_cast<double>(run->bytes) / seconds, true};
}

void remember_restore_rate(const std::string& state_dir, const std::string& database,
                           const char* step, const Time& started, uint64_t bytes) {
    try {
        catalog::Catalog catalog(state_dir);
        catalog.add_run({.job = step,
                         .source = database,
                         .place = "",
                         .started = started,
                         .ended = Clock::system().now(),
                         .succeeded = true,
                         .bytes = bytes});
    } catch (const Error& error) {
        log_debug("the rate is not recorded: {}", error.message());
    }
}

RestorePrediction predict_restore(catalog::Catalog* catalog, const std::string& database,
                                  const std::string& method, uint64_t base_bytes,
                                  uint64_t log_bytes) {
    RestoreRate base = restore_rate(
        catalog, database, method == "physical" ? restore_step::kPhysical : restore_step::kLogical);
    RestoreRate replay = restore_rate(catalog, database, restore_step::kReplay);
    return {time_for(base_bytes, base), time_for(log_bytes, replay),
            base.measured && (replay.measured || log_bytes == 0)};
}

}  // namespace sevenfold::protect
