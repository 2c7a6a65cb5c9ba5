#include "protect/internal/health_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "core/log.h"
#include "core/units.h"
#include "net/certificate.h"
#include "os/identity.h"
#include "protect/database_status.h"
#include "protect/passwords.h"
#include "protect/places.h"
#include "protect/status.h"
#include "repository/lock.h"
#include "repository/snapshot.h"
#include "storage/ssh_facts.h"
#include "storage/versions.h"

namespace sevenfold::protect::internal {

using State = HealthCheck::State;
using storage::FileType;
using storage::Location;

namespace {

constexpr std::chrono::hours kSoonExpires{14 * 24};
constexpr std::chrono::seconds kClockWarning{10}, kClockFailure{300};
constexpr uint64_t kSlice = 1 << 20;  // of a pack, read back at once
constexpr const char* kSteps[] = {"certificate", "ssh key", "reachable", "credentials", "writable",
                                  "newest",      "space",   "clock",     "read back"};

bool uses_ssh(const Location& at) {
    return at.driver == Location::Driver::sftp || at.driver == Location::Driver::ssh;
}

HealthCheck failure(const char* name, const Error& error) {
    return {.name = name,
            .state = State::failed,
            .evidence = error.message(),
            .hint = error.hint(),
            .kind = error.kind()};
}

// An end of validity, as a check.
HealthCheck expiry(const char* name, const std::string& what, const Time& end, const Time& now) {
    HealthCheck check{.name = name, .state = State::ok};
    auto left = end.since(now);
    check.evidence = left.count() < 0 ? fmt::format("{} expired {} ago", what, format_age(-left))
                                      : fmt::format("{} valid for {} more", what, format_age(left));
    if (left < kSoonExpires) {
        check.state = left.count() < 0 ? State::failed : State::warning;
        check.hint = "Renew it.";
    }
    return check;
}

}  // namespace

void HealthRun::add(HealthCheck check) {
    std::lock_guard lock(mutex_);
    health_.checks.push_back(std::move(check));
}

// What is thrown fails the check. False: there is no use in going on.
template <class Work>
bool HealthRun::step(const char* name, Work work) {
    {
        std::lock_guard lock(mutex_);
        under_way_ = name;
    }
    try {
        work();
    } catch (...) {
        add(failure(name, current_error()));
    }
    std::lock_guard lock(mutex_);
    under_way_.clear();
    return repository_ != nullptr;
}

PlaceHealth HealthRun::snapshot(const std::optional<Error>& end) {
    std::lock_guard lock(mutex_);
    PlaceHealth out = health_;
    if (!end) return out;
    bool after = under_way_.empty();
    for (const char* name : kSteps) {
        bool found = std::ranges::any_of(
            out.checks, [&](const HealthCheck& check) { return check.name == name; });
        if (name == under_way_) {
            out.checks.push_back(failure(name, *end));
            after = true;
        } else if (after && !found) {
            out.checks.push_back({.name = name, .evidence = "not reached"});
        }
    }
    return out;
}

std::optional<catalog::ReadBackPosition> HealthRun::position() {
    std::lock_guard lock(mutex_);
    return position_;
}

void HealthRun::examine(const HealthTask& task) {
    step("certificate", [&] { check_certificate(task); });
    step("ssh key", [&] { check_ssh(task); });
    if (step("reachable", [&] { open(task); })) {
        if (!task.place.lock.empty()) step("object lock", [&] { check_lock(); });
        step("writable", [&] { check_writing(task); });
        step("newest", [&] { check_sources(task); });
        step("space", [&] { check_space(task); });
    }
    step("clock", [&] { check_clock(task); });
    if (repository_) step("read back", [&] { read_back(task); });
    repository_.reset();  // connections end on the thread that made them
}

void HealthRun::check_certificate(const HealthTask& task) {
    Location at = storage::parse_location(task.place.url);
    bool https =
        at.tls && (at.driver == Location::Driver::s3 || at.driver == Location::Driver::rest);
    if (!https) {
        add({.name = "certificate", .state = State::unsupported, .evidence = "no TLS here"});
        return;
    }
    bool bracket = at.host.find(':') != std::string::npos;
    std::string url = fmt::format("https://{}{}/", bracket ? "[" + at.host + "]" : at.host,
                                  at.port == 0 ? "" : fmt::format(":{}", at.port));
    net::CertificateFacts facts;
    try {
        facts = net::server_certificate(url, task.place.ca_file, task.deadline / 2);
    } catch (const Error& error) {  // "reachable" says the same
        add({.name = "certificate", .evidence = error.message()});
        return;
    }
    HealthCheck check =
        expiry("certificate", "the server's certificate is", facts.expires, task.clock->now());
    if (!facts.problem.empty() && check.state != State::failed) {
        check.state = State::failed;
        check.kind = ErrorKind::permission;
        check.evidence = "the server's certificate is not trusted: " + facts.problem;
        check.hint =
            "If the server has a certificate of its own authority, name that in ca_file; else this "
            "may be somebody in between.";
    }
    certificate_failed_ = check.state == State::failed;
    add(std::move(check));
}

void HealthRun::check_ssh(const HealthTask& task) {
    Location at = storage::parse_location(task.place.url);
    if (!uses_ssh(at)) {
        add({.name = "ssh key", .state = State::unsupported, .evidence = "no ssh here"});
        return;
    }
    storage::SshFacts facts =
        storage::ssh_facts({at.host, at.user, at.port}, task.place.ssh_options, task.deadline / 2);
    HealthCheck check{.name = "ssh key",
                      .state = State::ok,
                      .evidence = facts.keys.empty()
                                      ? "no key file of its own (an agent, perhaps)"
                                      : fmt::format("key {}, without an end", facts.keys[0].path)};
    for (const storage::SshCertificate& certificate : facts.certificates)
        if (certificate.valid_before)
            check = expiry("ssh key", fmt::format("certificate {} is", certificate.path),
                           *certificate.valid_before, task.clock->now());
    for (const storage::SshKeyFile& key : facts.keys) {
        if (!key.open_to_others) continue;
        check.state = State::failed;
        check.evidence =
            fmt::format("key {} can be read by others, so ssh does not use it", key.path);
        check.hint = "chmod 600 the key; make a new one if somebody may have read it.";
    }
    if (!facts.checks_host_key && check.state != State::failed) {
        check.state = State::warning;
        check.evidence += "; host keys are not checked (StrictHostKeyChecking)";
        check.hint = "Anybody in between could pass for the server: remove that option.";
    }
    add(std::move(check));
}

void HealthRun::open(const HealthTask& task) {
    storage::BackendOptions options = backend_options(task.place);
    options.retry_for = std::chrono::nanoseconds(0);  // the first answer counts
    options.stop = task.stop;
    options.stall_timeout =
        std::max<std::chrono::nanoseconds>(task.deadline, std::chrono::seconds(1));
    if (uses_ssh(storage::parse_location(task.place.url))) {
        auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.stall_timeout);
        options.ssh_args.push_back("-o");
        options.ssh_args.push_back(fmt::format("ConnectTimeout={}", seconds.count()));
    }
    options.on_server_time = [measured = measured_, clock = task.clock](const Time& server) {
        // Cut to seconds: half a second later on average.
        auto ahead = server.plus(std::chrono::milliseconds(500)).since(clock->now());
        std::lock_guard lock(measured->mutex);
        if (!measured->ahead) measured->ahead = ahead;
    };
    std::unique_ptr<repository::Repository> opened;
    try {
        opened = repository::Repository::open(open_place_backend(task.place, options),
                                              read_password(task.place), {});
    } catch (...) {
        Error error = current_error();
        if (error.kind() == ErrorKind::no_repository)
            error = error.with_hint(
                "Is it mounted? `sevenfold init --repositories` creates the repository of a new "
                "place.");
        bool credentials = (error.kind() == ErrorKind::permission && !certificate_failed_) ||
                           error.kind() == ErrorKind::wrong_password ||
                           error.kind() == ErrorKind::config;
        if (credentials && error.kind() != ErrorKind::config)
            add({.name = "reachable", .state = State::ok, .evidence = "it answers"});
        add(failure(credentials ? "credentials" : "reachable", error));
        return;
    }
    const auto start = task.clock->steady();
    opened->backend().size({FileType::config, {}});
    auto latency = task.clock->steady() - start;
    add({.name = "reachable",
         .state = State::ok,
         .evidence = fmt::format("answers in {:.1f} ms",
                                 std::chrono::duration<double, std::milli>(latency).count())});
    add({.name = "credentials",
         .state = State::ok,
         .evidence = "the password opens the repository"});
    std::lock_guard lock(mutex_);
    health_.opens = true;
    health_.latency = latency;
    repository_ = std::move(opened);
}

void HealthRun::check_lock() {
    repository_->backend().versions()->check_can_lock();
    add({.name = "object lock",
         .state = State::ok,
         .evidence = "the bucket keeps versions and locks"});
}

// The probe is a shared lock of this process, because that is what every restic client expects to
// come and go, and what append-only servers let be removed.
void HealthRun::check_writing(const HealthTask& task) {
    if (task.read_only) {
        add({.name = "writable", .evidence = "not tried (--read-only)"});
        return;
    }
    repository::LockInfo lock;
    lock.hostname = os::host_name();
    lock.time = task.clock->now();
    lock.pid = ::getpid();
    lock.uid = ::getuid();
    lock.gid = ::getgid();
    const std::string text = repository::encode_lock(lock);
    Id id = repository_->save_unpacked(FileType::lock, as_bytes(text));
    Bytes back = repository_->load_unpacked(FileType::lock, id);
    HealthCheck check{.name = "writable",
                      .state = State::ok,
                      .evidence = "a lock file was stored, read, removed"};
    try {
        repository_->remove(FileType::lock, id);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::permission) throw;
        check.state = State::warning;
        check.evidence = fmt::format(
            "the lock file locks/{} was stored and read, but may not be "
            "removed: {}",
            id.hex(), error.message());
        check.hint =
            "Let the key delete below locks/, as restic needs, too; until then run ping "
            "with --read-only, for each run leaves such a file.";
    }
    if (as_text(back) != text)
        throw Error(ErrorKind::corrupt, "the probe was read back differently than it was written",
                    "The storage damages data. Do not rely on this place.");
    add(std::move(check));
    std::lock_guard guard(mutex_);
    health_.writable = true;
}

void HealthRun::check_sources(const HealthTask& task) {
    std::vector<Error> damaged;
    const Time now = task.clock->now();
    auto all = repository::load_snapshots(*repository_, &damaged);
    {
        std::lock_guard lock(mutex_);
        health_.snapshots = all.size();
        if (const auto* newest = newest_of(all, now)) health_.newest = newest->time;
    }
    for (const Error& error : damaged) {
        HealthCheck check = failure("newest", error);
        check.hint = "Run `sevenfold repo check`, and keep the other places.";
        add(std::move(check));
    }
    const std::string host = os::host_name();
    for (const config::FilesConfig& source : task.config.files) {
        if (std::ranges::find(source.places, task.place.name) == source.places.end()) continue;
        std::vector<repository::Snapshot> own;
        for (const repository::Snapshot& snapshot : all)
            if (snapshot.hostname == host && snapshot.paths.size() == 1 &&
                snapshot.paths[0] == source.path)
                own.push_back(snapshot);
        HealthCheck check{.name = "newest", .subject = source.name, .state = State::ok};
        const repository::Snapshot* newest = newest_of(own, now);
        auto had = task.had_snapshot.find(source.name);
        if (newest == nullptr) {
            bool lost = had != task.had_snapshot.end() && had->second;
            check.state = lost ? State::failed : State::warning;
            check.evidence =
                lost ? "no snapshot, though its last backup succeeded" : "no snapshot yet";
            check.hint = "Run `sevenfold backup`.";
        } else if (is_from_future(newest->time, now)) {
            check.state = State::failed;
            check.evidence = "the newest snapshot is from the future: a clock was wrong";
        } else {
            auto age = now.since(newest->time), allowed = allowed_age(source.every);
            check.state = age <= allowed ? State::ok : State::failed;
            check.evidence =
                fmt::format("{} old, {} are allowed", format_age(age), format_age(allowed));
            if (age > allowed) check.hint = "Run `sevenfold backup`, and see why it did not run.";
        }
        add(std::move(check));
    }
}

void HealthRun::check_space(const HealthTask& task) {
    auto free = repository_->backend().free_space();
    if (!free) {
        add({.name = "space",
             .state = State::unsupported,
             .evidence = "this kind of place does not tell its free space"});
        return;
    }
    std::vector<catalog::SpacePoint> points = task.space;
    points.push_back({task.clock->now(), *free});
    auto days = days_until_full(points);
    bool long_enough = points.back().time.since(points.front().time) >= std::chrono::hours(1);
    HealthCheck check{.name = "space",
                      .state = State::ok,
                      .evidence = fmt::format("{} free, ", format_size(*free))};
    check.evidence += days          ? fmt::format("full in {:.0f} days at this rate", *days)
                      : long_enough ? "and it does not shrink"
                                    : "until when is unknown (too few pings yet)";
    if (*free < 4 * task.place.pack_size) {
        check.state = State::failed;
        check.kind = ErrorKind::no_space;
    } else if (days && *days < 14) {
        check.state = *days < 2 ? State::failed : State::warning;
    }
    if (check.state != State::ok)
        check.hint = "Free space there, or forget and prune old snapshots.";
    add(std::move(check));
    std::lock_guard lock(mutex_);
    health_.free_space = free;
    health_.days_until_full = days;
}

void HealthRun::check_clock(const HealthTask& task) {
    Location at = storage::parse_location(task.place.url);
    HealthCheck check{.name = "clock", .state = State::unsupported};
    std::optional<std::chrono::nanoseconds> ahead;
    {
        std::lock_guard lock(measured_->mutex);
        ahead = measured_->ahead;
    }
    if (at.driver == Location::Driver::local) {
        check.evidence = "the place has this machine's clock";
    } else if (!ahead) {
        check.state = State::unknown;
        check.evidence = at.driver == Location::Driver::sftp
                             ? "told by the time of a stored file, and none was stored"
                             : "the server told no time";
    } else {
        auto off = *ahead < ahead->zero() ? -*ahead : *ahead;
        check.state = off > kClockFailure   ? State::failed
                      : off > kClockWarning ? State::warning
                                            : State::ok;
        check.evidence = check.state == State::ok
                             ? fmt::format("within {} s of ours",
                                           std::chrono::ceil<std::chrono::seconds>(off).count())
                             : fmt::format("the server's clock is {} {} ours", format_duration(off),
                                           *ahead < ahead->zero() ? "behind" : "ahead of");
        if (check.state != State::ok)
            check.hint = "Set the clock that is wrong (`timedatectl set-ntp true`).";
    }
    add(std::move(check));
    std::lock_guard lock(mutex_);
    health_.clock_ahead = ahead;
}

// Packs go by their names, which are as good as random; in round r of all packs the r-th slice of
// each is read, so that after some rounds all of it was.
void HealthRun::read_back(const HealthTask& task) {
    auto packs = repository_->backend().list_all(FileType::pack);
    std::ranges::sort(packs, {}, &storage::FileInfo::id);
    uint64_t used = 0;
    for (const storage::FileInfo& pack : packs) used += pack.size;
    {
        std::lock_guard lock(mutex_);
        health_.used = used;
    }
    if (packs.empty()) {
        add({.name = "read back", .evidence = "there is nothing to read yet"});
        return;
    }
    catalog::ReadBackPosition at = task.position;
    auto next = packs.begin();
    if (auto last = Id::parse(at.pack)) {
        next = std::ranges::upper_bound(packs, *last, {}, &storage::FileInfo::id);
        if (next == packs.end()) {
            next = packs.begin();
            ++at.round;
        }
    }
    at.pack = next->id.hex();
    {
        std::lock_guard lock(mutex_);
        position_ = at;  // also when it is damaged: the others must be read, too
    }
    auto blobs = repository_->load_pack_header(next->id, next->size);
    if (blobs.empty()) throw Error(ErrorKind::corrupt, fmt::format("pack {}: empty", at.pack));
    std::vector<std::pair<size_t, size_t>> slices = {{0, 0}};
    uint64_t bytes = 0;
    for (size_t i = 0; i < blobs.size(); ++i) {
        if (bytes != 0 && bytes + blobs[i].length > kSlice) {
            slices.emplace_back(i, i);
            bytes = 0;
        }
        bytes += blobs[i].length;
        slices.back().second = i + 1;
    }
    auto [from, to] = slices[at.round % slices.size()];
    bytes = 0;
    for (size_t i = from; i < to; ++i) {
        try {
            Bytes envelope = repository_->backend().load({FileType::pack, next->id},
                                                         blobs[i].offset, blobs[i].length);
            repository_->decode_blob(blobs[i], envelope);
        } catch (const Error& error) {
            throw error.with_context(fmt::format("pack {}", at.pack))
                .with_hint("Run `sevenfold repo check --read-data`, and keep the other places.");
        }
        bytes += blobs[i].length;
    }
    add({.name = "read back",
         .state = State::ok,
         .evidence =
             fmt::format("{} blobs, {} of pack {}, part {} of {}", to - from, format_size(bytes),
                         next->id.short_hex(), at.round % slices.size() + 1, slices.size())});
}

}  // namespace sevenfold::protect::internal
