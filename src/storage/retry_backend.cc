#include "storage/retry_backend.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/log.h"
#include "core/units.h"

namespace sevenfold::storage {

std::chrono::nanoseconds RetryBackend::pause(unsigned failures) {
    double factor = std::exp2(std::min(failures - 1, 20u));
    double pause = std::min(static_cast<double>(options_.first_pause.count()) * factor,
                            static_cast<double>(options_.longest_pause.count()));
    std::lock_guard lock(mutex_);
    // Jitter, so that the threads of many machines do not come back all at once.
    return std::chrono::nanoseconds(static_cast<int64_t>(pause * (0.5 + random_.unit())));
}

// operation(failures so far) until it succeeds.
template <class Operation>
auto RetryBackend::attempt(Operation operation) {
    std::chrono::steady_clock::time_point first_failure{};
    for (unsigned failures = 0;;) {
        std::optional<Error> failed;
        try {
            if constexpr (std::is_void_v<decltype(operation(failures))>) {
                operation(failures);
                reached_ = true;
                return;
            } else {
                auto out = operation(failures);
                reached_ = true;
                return out;
            }
        } catch (const Error& error) {
            if (!is_temporary(error.kind())) throw;
            failed = error;
        }
        auto now = options_.clock->steady();
        if (failures++ == 0) first_failure = now;
        auto wait = pause(failures);
        bool hopeless = failed->kind() == ErrorKind::io && failures >= options_.io_attempts;
        auto patience = reached_ ? options_.total : std::min(options_.total, options_.reach_within);
        if (hopeless || now - first_failure + wait > patience) throw *failed;
        log_info("{}; trying again in {}", failed->message(), format_duration(wait));
        options_.sleep(wait, options_.stop);
    }
}

class RetryBackend::RetriedVersions : public Versions {
  public:
    RetriedVersions(RetryBackend& retry, Versions& inner) : retry_(retry), inner_(inner) {}

    void list_versions(FileType type, std::optional<uint8_t> pack_folder,
                       const std::function<void(const FileVersion&)>& each) override {
        auto found = retry_.attempt([&](unsigned) {
            std::vector<FileVersion> versions;
            inner_.list_versions(type, pack_folder,
                                 [&](const FileVersion& version) { versions.push_back(version); });
            return versions;
        });
        for (const FileVersion& version : found) each(version);
    }
    Bytes load_version(const FileVersion& version, uint64_t offset, size_t length) override {
        return retry_.attempt(
            [&](unsigned) { return inner_.load_version(version, offset, length); });
    }
    Bytes load_whole_version(const FileVersion& version, uint64_t limit) override {
        return retry_.attempt([&](unsigned) { return inner_.load_whole_version(version, limit); });
    }
    void remove_version(const FileVersion& version) override {
        retry_.attempt([&](unsigned) { inner_.remove_version(version); });
    }
    void bring_back(const FileVersion& version) override {
        retry_.attempt([&](unsigned) { inner_.bring_back(version); });
    }
    std::optional<RetentionRule> retention_rule() const override { return inner_.retention_rule(); }
    void check_can_lock() override {
        retry_.attempt([&](unsigned) { inner_.check_can_lock(); });
    }
    std::optional<Retention> retention(const FileVersion& version) override {
        return retry_.attempt([&](unsigned) { return inner_.retention(version); });
    }
    bool retain(const FileVersion& version, const Time& at_least, const Time& until) override {
        return retry_.attempt([&](unsigned) { return inner_.retain(version, at_least, until); });
    }

  private:
    RetryBackend& retry_;
    Versions& inner_;
};

RetryBackend::RetryBackend(std::unique_ptr<Backend> wrapped, RetryOptions options)
    : ForwardingBackend(std::move(wrapped)), options_(std::move(options)), random_(options_.seed) {
    if (Versions* there = inner().versions())
        versions_ = std::make_unique<RetriedVersions>(*this, *there);
}

RetryBackend::~RetryBackend() = default;

Versions* RetryBackend::versions() { return versions_.get(); }

void RetryBackend::create() {
    attempt([&](unsigned) { inner().create(); });
}

void RetryBackend::store(const FileName& name, ByteView body) {
    attempt([&](unsigned failures) {
        try {
            inner().store(name, body);
        } catch (const Error& error) {
            // A place that refuses to replace files (append-only) says so of what an earlier try,
            // whose reply was lost, has stored.
            bool refused = error.kind() == ErrorKind::exists ||
                           error.kind() == ErrorKind::permission ||
                           error.kind() == ErrorKind::refused;
            if (failures == 0 || !refused) throw;
            bool stored = false;
            try {
                stored = inner().size(name) == body.size();
            } catch (const Error& look) {
                if (is_temporary(look.kind())) throw;
            }
            if (!stored) throw;
        }
    });
}

Bytes RetryBackend::load(const FileName& name, uint64_t offset, size_t length) {
    // A file that is too short stays too short: that leaves attempt() as a value.
    std::optional<Error> too_short;
    Bytes out = attempt([&](unsigned) {
        try {
            return inner().load(name, offset, length);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::io) throw;
            uint64_t size = inner().size(name);
            if (offset <= size && length <= size - offset) throw;
            too_short = error;
            return Bytes();
        }
    });
    if (too_short) throw *too_short;
    return out;
}

Bytes RetryBackend::load_all(const FileName& name, uint64_t limit) {
    return attempt([&](unsigned) { return inner().load_all(name, limit); });
}

uint64_t RetryBackend::size(const FileName& name) {
    return attempt([&](unsigned) { return inner().size(name); });
}

void RetryBackend::list(FileType type, const std::function<void(const FileInfo&)>& each) {
    auto found = attempt([&](unsigned) { return inner().list_all(type); });
    for (const FileInfo& info : found) each(info);
}

void RetryBackend::remove(const FileName& name) {
    attempt([&](unsigned failures) {
        try {
            inner().remove(name);
        } catch (const Error& error) {
            if (failures == 0 || error.kind() != ErrorKind::not_found) throw;
        }
    });
}

std::optional<uint64_t> RetryBackend::free_space() {
    return attempt([&](unsigned) { return inner().free_space(); });
}

}  // namespace sevenfold::storage
