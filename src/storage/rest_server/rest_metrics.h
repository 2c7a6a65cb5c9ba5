// Counters in the text format of Prometheus. Those that rest-server has keep its names.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace sevenfold::storage {

// Thread-safe. What clients can choose (names of repositories) is bounded: beyond a thousand
// combinations everything new counts under "other".
class RestMetrics {
  public:
    enum class Action { read, write, remove };
    void count(Action action, std::string_view user, std::string_view repository,
               std::string_view type, uint64_t bytes);
    void count_request(std::string_view method, int status);
    // All of it, each line ended.
    std::string text() const;

  private:
    struct Counter {
        uint64_t times = 0, bytes = 0;
    };
    mutable std::mutex mutex_;
    std::map<std::string, Counter> actions_[3];
    std::map<std::string, uint64_t> requests_;
};

// A label's value with what the format escapes escaped.
std::string metric_label(std::string_view value);

}  // namespace sevenfold::storage
