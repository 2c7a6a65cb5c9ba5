// The examination of one place, step by step, on a thread of its own. What was found so far can be
// asked for at any time.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "protect/health.h"
#include "repository/repository.h"

namespace sevenfold::protect::internal {

// Owns all that it needs: its thread may outlive the command's other work.
struct HealthTask {
    config::AppConfig config;
    config::PlaceConfig place;
    bool read_only = false;
    std::chrono::nanoseconds deadline{};
    std::stop_token stop;
    const Clock* clock = nullptr;
    std::vector<catalog::SpacePoint> space;
    catalog::ReadBackPosition position;
    std::map<std::string, bool> had_snapshot;  // by source: its last backup there succeeded
};

class HealthRun {
  public:
    void examine(const HealthTask& task);
    // With `end`, the check under way has failed by it and those after it are unknown.
    PlaceHealth snapshot(const std::optional<Error>& end);
    std::optional<catalog::ReadBackPosition> position();

  private:
    struct Measured {
        std::mutex mutex;
        std::optional<std::chrono::nanoseconds> ahead;
    };
    template <class Work>
    bool step(const char* name, Work work);
    void add(HealthCheck check);
    void check_certificate(const HealthTask& task);
    void check_ssh(const HealthTask& task);
    void open(const HealthTask& task);
    void check_lock();
    void check_writing(const HealthTask& task);
    void check_sources(const HealthTask& task);
    void check_space(const HealthTask& task);
    void check_clock(const HealthTask& task);
    void read_back(const HealthTask& task);

    std::unique_ptr<repository::Repository> repository_;
    std::shared_ptr<Measured> measured_ = std::make_shared<Measured>();
    bool certificate_failed_ = false;
    std::mutex mutex_;  // guards what follows
    std::string under_way_;
    PlaceHealth health_;
    std::optional<catalog::ReadBackPosition> position_;
};

}  // namespace sevenfold::protect::internal
