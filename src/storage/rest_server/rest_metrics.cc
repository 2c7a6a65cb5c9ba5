#include "storage/rest_server/rest_metrics.h"

#include <fmt/format.h>

namespace sevenfold::storage {
namespace {

constexpr size_t kMostSeries = 1000;
constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST", "DELETE"};

std::string labels(std::string_view user, std::string_view repository, std::string_view type) {
    return fmt::format("repo=\"{}\",type=\"{}\",user=\"{}\"", metric_label(repository), type,
                       metric_label(user));
}

}  // namespace

std::string metric_label(std::string_view value) {
    std::string out;
    for (char c : value) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

void RestMetrics::count(Action action, std::string_view user, std::string_view repository,
                        std::string_view type, uint64_t bytes) {
    if (repository.starts_with('/')) repository.remove_prefix(1);
    std::string key = labels(user, repository, type);
    std::lock_guard lock(mutex_);
    auto& series = actions_[static_cast<size_t>(action)];
    if (series.size() >= kMostSeries && !series.contains(key)) key = labels("other", "other", type);
    Counter& counter = series[key];
    ++counter.times;
    counter.bytes += bytes;
}

void RestMetrics::count_request(std::string_view method, int status) {
    bool known = false;
    for (std::string_view name : kMethods) known = known || name == method;
    std::string key = fmt::format("method=\"{}\",status=\"{}\"", known ? method : "other", status);
    std::lock_guard lock(mutex_);
    ++requests_[key];
}

std::string RestMetrics::text() const {
    std::string out;
    std::lock_guard lock(mutex_);
    constexpr std::string_view kNames[] = {"read", "write", "delete"};
    for (size_t i = 0; i < 3; ++i) {
        auto write = [&](std::string_view what, uint64_t Counter::*field) {
            out += fmt::format("# TYPE rest_server_blob_{}_{} counter\n", kNames[i], what);
            for (const auto& [key, counter] : actions_[i])
                out += fmt::format("rest_server_blob_{}_{}{{{}}} {}\n", kNames[i], what, key,
                                   counter.*field);
        };
        write("total", &Counter::times);
        write("bytes_total", &Counter::bytes);
    }
    out += "# TYPE sevenfold_serve_requests_total counter\n";
    for (const auto& [key, times] : requests_)
        out += fmt::format("sevenfold_serve_requests_total{{{}}} {}\n", key, times);
    return out;
}

}  // namespace sevenfold::storage
