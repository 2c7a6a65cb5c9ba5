#include "protect/lock_renewal.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <mutex>

#include "core/error.h"
#include "core/log.h"
#include "core/parallel.h"
#include "crypto/sha256.h"
#include "os/file.h"
#include "repository/id_set.h"
#include "repository/lock.h"
#include "repository/snapshot.h"
#include "repository/walk.h"
#include "storage/versions.h"

namespace sevenfold::protect {
namespace {

using repository::Repository;
using storage::FileType;
using storage::FileVersion;
using storage::RetentionRule;

std::string state_path(const storage::Backend& backend, const LockRenewalOptions& options) {
    return options.state_dir + "/locks/" +
           crypto::sha256(as_bytes(backend.location())).hex().substr(0, 32);
}

// "compliance 2592000 1795773000": the rule, and when the last renewal began.
std::string rule_text(const RetentionRule& rule) {
    return fmt::format("{} {} ", storage::name(rule.mode), rule.period.count());
}

std::optional<Time> last_renewal(const std::string& path, const RetentionRule& rule) try {
    Bytes bytes = os::read_file(path, 1000);
    std::string_view text = as_text(bytes);
    std::string wanted = rule_text(rule);
    if (!text.starts_with(wanted)) return std::nullopt;
    Time time;
    const char* end = text.data() + text.size();
    auto [stop, failure] = std::from_chars(text.data() + wanted.size(), end, time.seconds);
    if (failure != std::errc{} || stop == end || *stop != '\n') return std::nullopt;
    return time;
} catch (const Error&) {  // not there, or damaged: then it is due
    return std::nullopt;
}

// The packs that hold what the snapshots reach. Nothing when that cannot be told: some tree is
// damaged.
std::optional<repository::IdSet> needed_packs(Repository& repository, std::stop_token stop) {
    std::vector<Error> damaged;
    std::vector<Id> roots;
    for (const auto& snapshot : repository::load_snapshots(repository, &damaged))
        roots.push_back(snapshot.tree);
    repository.load_index(&damaged);
    for (const Error& error : damaged) log_warning("{}", error.message());
    std::atomic<bool> all_read = damaged.empty();
    std::mutex mutex;
    repository::IdSet packs, data;
    auto need = [&](const repository::BlobHandle& blob) {
        for (const auto& copy : repository.index().find_all(blob)) packs.insert(copy.pack);
    };
    repository::TreeVisitor visitor;
    visitor.visit = [&](const Id& tree, const std::vector<repository::Node>& nodes) {
        std::lock_guard lock(mutex);
        need({repository::BlobType::tree, tree});
        for (const auto& node : nodes)
            for (const Id& id : node.content)
                if (data.insert(id)) need({repository::BlobType::data, id});
    };
    visitor.failed = [&](const Id&, const Error& error) {
        log_warning("{}", error.message());
        all_read = false;
    };
    repository::walk_all_trees(repository, roots, visitor, stop);
    if (!all_read) return std::nullopt;
    return packs;
}

// Every version of what is needed; a file of which the snapshots need nothing may go.
class Needed {
  public:
    explicit Needed(std::optional<repository::IdSet> packs) : packs_(std::move(packs)) {}

    void add_all(storage::Versions& place) {
        for (FileType type :
             {FileType::config, FileType::key, FileType::snapshot, FileType::index, FileType::pack})
            storage::list_by_file(place, type,
                                  [&](std::vector<FileVersion> one) { add(std::move(one)); });
    }

    std::vector<FileVersion> versions;
    uint64_t tampered = 0;

  private:
    void add(std::vector<FileVersion> of_one_file) {
        const bool deleted = of_one_file[0].deletion;
        const bool pack = of_one_file[0].name.type == FileType::pack;
        // Of other kinds, only what is there says that it is needed.
        if (pack ? packs_ && !packs_->contains(of_one_file[0].name.id) : deleted) return;
        if (pack && !packs_ && deleted) return;
        std::erase_if(of_one_file, [](const FileVersion& version) { return version.deletion; });
        if (deleted || of_one_file.size() > 1) ++tampered;
        for (FileVersion& version : of_one_file) versions.push_back(std::move(version));
    }

    const std::optional<repository::IdSet> packs_;
};

}  // namespace

bool lock_renewal_due(const storage::Backend& backend, const RetentionRule& rule,
                      const LockRenewalOptions& options) {
    if (options.state_dir.empty()) return true;
    auto last = last_renewal(state_path(backend, options), rule);
    if (!last) return true;
    auto age = options.clock->now().since(*last);
    return age.count() < 0 || age >= rule.period / 4;
}

LockRenewal renew_locks(Repository& repository, const LockRenewalOptions& options) {
    LockRenewal out;
    storage::Versions* versions = repository.backend().versions();
    auto rule = versions ? versions->retention_rule() : std::nullopt;
    if (!rule || !lock_renewal_due(repository.backend(), *rule, options)) return out;
    versions->check_can_lock();
    const Time now = options.clock->now();
    repository::Lock lock(repository, {.stop = options.stop});  // nobody removes what we look at
    Needed needed(needed_packs(repository, options.stop));
    needed.add_all(*versions);
    if (needed.tampered != 0)
        log_warning(
            "{}: {} files that are needed were deleted or overwritten; their versions are kept "
            "(`sevenfold repo recover-versions` brings them back)",
            repository.location(), needed.tampered);
    const Time at_least = now.plus(rule->period - rule->period / 4), until = now.plus(rule->period);
    std::atomic<uint64_t> renewed{0};
    parallel_for(needed.versions.size(), repository.backend().capabilities().connections,
                 [&](size_t i) {
                     if (options.stop.stop_requested())
                         throw Error(ErrorKind::interrupted, "interrupted");
                     lock.check_held();
                     if (versions->retain(needed.versions[i], at_least, until)) ++renewed;
                 });
    if (!options.state_dir.empty()) {
        std::string path = state_path(repository.backend(), options);
        os::make_dirs(os::parent_dir(path), 0700);
        os::write_file_atomically(
            path, as_bytes(fmt::format("{}{}\n", rule_text(*rule), now.seconds)), 0600);
    }
    return {.done = true,
            .needed = needed.versions.size(),
            .renewed = renewed,
            .tampered = needed.tampered};
}

}  // namespace sevenfold::protect
