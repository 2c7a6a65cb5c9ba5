#include "protect/second_spool.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/log.h"

namespace sevenfold::protect {
namespace {

class Continued : public database::LogArchive {
  public:
    Continued(std::unique_ptr<LogArchive> log, const std::string& driver,
              const database::SecondSpool& second)
        : log_(std::move(log)) {
        try {
            more_ = database::continue_with_second_spool(driver, second, *log_);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) throw;
            log_warning("second spool {}: {}", second.name, error.message());
        }
    }
    const std::vector<database::LogSegment>& segments() const override { return all().segments(); }
    size_t read(size_t number, uint64_t offset, MutableByteView out) const override {
        return all().read(number, offset, out);
    }

  private:
    const LogArchive& all() const { return more_ ? *more_ : *log_; }
    std::unique_ptr<LogArchive> log_, more_;  // the second reads the first
};

}  // namespace

std::optional<database::SecondSpool> second_spool(const config::AppConfig& config,
                                                  const config::DatabaseConfig& database,
                                                  const std::vector<JobPlace>& places) {
    if (database.stream_second.empty()) return std::nullopt;
    const config::PlaceConfig& place = config.place(database.stream_second);
    auto opened = std::ranges::find(places, place.name, &JobPlace::name);
    if (opened == places.end())
        throw Error(ErrorKind::config,
                    fmt::format("stream_second {} is not one of the places of {}", place.name,
                                database.name));
    if (opened->error) throw *opened->error;
    database::SecondSpool second;
    second.name = place.name;
    second.location = storage::parse_location(place.url);
    second.location.path += "-spool/" + database.name;
    second.ssh_args = place.ssh_options;
    second.key = opened->repository->master_key();
    return second;
}

std::unique_ptr<database::LogArchive> join_with_second_spool(
    const config::AppConfig& config, const config::DatabaseConfig& database,
    const std::vector<JobPlace>& places,
    std::vector<std::unique_ptr<database::LogArchive>> archives) {
    auto log = database::join_log_archives(std::move(archives));
    auto opened = std::ranges::find(places, database.stream_second, &JobPlace::name);
    if (opened == places.end() || opened->error) return log;
    return std::make_unique<Continued>(std::move(log), database.driver,
                                       *second_spool(config, database, places));
}

}  // namespace sevenfold::protect
