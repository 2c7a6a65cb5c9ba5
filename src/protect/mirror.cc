#include "protect/mirror.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <charconv>
#include <map>
#include <set>

#include "core/log.h"
#include "os/file.h"
#include "protect/status.h"

namespace sevenfold::protect {
namespace {

constexpr size_t kMostDamaged = 100;

// Whose folder the source is. The device's number changes when disks are found in another order,
// so it is not a part.
struct Identity {
    uint64_t inode = 0;
    bool mount_point = false;
    bool operator==(const Identity&) const = default;
};

std::optional<Identity> identity_of(const std::string& url) {
    auto path = config::local_path(url);
    struct stat here {
    }, above{};
    if (!path || ::stat(path->c_str(), &here) != 0 || ::stat((*path + "/..").c_str(), &above) != 0)
        return std::nullopt;
    return Identity{here.st_ino, here.st_dev != above.st_dev};
}

// One run at a time. The lock ends with the process, however that ends.
os::UniqueFd lock(const std::string& file, const std::string& name) {
    os::UniqueFd fd = os::open_file(file, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK) throw errno_error("lock " + file);
    throw Error(ErrorKind::locked, "another run of mirror " + name + " is under way",
                "Wait until it has ended.");
}

// What the last run left to know: lines "key value".
class Memory {
  public:
    explicit Memory(std::string file) : file_(std::move(file)) {
        if (!os::path_exists(file_)) return;
        std::string text(as_text(os::read_file(file_, 1 << 20)));
        for (size_t begin = 0, end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
            std::string line = text.substr(begin, end - begin);
            size_t blank = line.find(' ');
            if (blank != line.npos) values_[line.substr(0, blank)] = line.substr(blank + 1);
        }
    }
    std::string text(const std::string& key) const {
        auto at = values_.find(key);
        return at == values_.end() ? std::string() : at->second;
    }
    uint64_t number(const std::string& key) const {
        std::string value = text(key);
        uint64_t out = 0;
        std::from_chars(value.data(), value.data() + value.size(), out);
        return out;
    }
    void set(const std::string& key, const std::string& value) { values_[key] = value; }
    void save() const {
        std::string out;
        for (const auto& [key, value] : values_) out += key + " " + value + "\n";
        os::write_file_atomically(file_, as_bytes(out));
    }

  private:
    std::string file_;
    std::map<std::string, std::string> values_;
};

class Run {
  public:
    Run(const config::AppConfig& config, const config::MirrorConfig& mirror,
        const MirrorRunOptions& options)
        : config_(mirror),
          options_(options),
          folder_(config.app.state_dir + "/mirrors"),
          base_(folder_ + "/" + mirror.name),
          made_(os::make_dirs(folder_)),
          lock_(lock(base_ + ".lock", mirror.name)),
          memory_(base_ + ".state"),
          mirror_({.from = mirror.from,
                   .to = mirror.to,
                   .ssh_options = mirror.ssh_options,
                   .exclude = mirror.exclude,
                   .marker = mirror.marker,
                   .one_file_system = mirror.one_file_system,
                   .attributes = mirror.attributes,
                   .checksum = options.checksum,
                   .empty_folder = folder_ + "/empty",
                   .stop = options.stop}) {}

    MirrorRun go();

  private:
    bool known() const {
        return memory_.text("from") == config_.from && memory_.text("to") == config_.to;
    }
    std::vector<std::string> refusals(const mirror::Plan& plan) const;
    void remember(uint64_t files_at_target);
    std::string new_stamp();
    void expire();
    void verify();

    const config::MirrorConfig& config_;
    const MirrorRunOptions& options_;
    const std::string folder_, base_;
    const std::vector<std::string> made_;
    os::UniqueFd lock_;
    Memory memory_;
    mirror::Mirror mirror_;
    MirrorRun run_;
};

std::vector<std::string> Run::refusals(const mirror::Plan& plan) const {
    std::optional<mirror::Former> former;
    if (known()) former = mirror::Former{memory_.number("files")};
    mirror::Limits limits{static_cast<unsigned>(config_.max_change), config_.allow_changes,
                          config_.min_files};
    auto reasons = mirror::judge(plan, limits, former, !config_.marker.empty());
    auto identity = identity_of(config_.from);
    if (former && identity && !memory_.text("inode").empty()) {
        Identity then{memory_.number("inode"), memory_.number("mount_point") != 0};
        if (then.mount_point && !identity->mount_point)
            reasons.emplace_back(
                "the source was a file system of its own and is none now: is it "
                "mounted?");
        else if (config_.marker.empty() && then != *identity)
            reasons.emplace_back(
                "the source is another folder than at the last run: is the right "
                "one mounted?");
    }
    return reasons;
}

// Durable on return.
void Run::remember(uint64_t files_at_target) {
    memory_.set("from", config_.from);
    memory_.set("to", config_.to);
    memory_.set("files", std::to_string(files_at_target));
    if (auto identity = identity_of(config_.from)) {
        memory_.set("inode", std::to_string(identity->inode));
        memory_.set("mount_point", identity->mount_point ? "1" : "0");
    }
    memory_.save();
}

// Later than the last one, so that no run puts anything into another's folder. Kept before it is
// used.
std::string Run::new_stamp() {
    Time now = Clock::system().now();
    if (auto last = mirror::parse_stamp(memory_.text("stamp"));
        last && last->seconds >= now.seconds)
        now.seconds = last->seconds + 1;
    std::string stamp = mirror::stamp_of(now);
    memory_.set("stamp", stamp);
    memory_.save();
    return stamp;
}

void Run::expire() {
    Time now = Clock::system().now();
    for (const std::string& stamp : mirror_.removed_stamps()) {
        auto time = mirror::parse_stamp(stamp);
        if (time && now.since(*time) > config_.keep_removed) run_.expired.push_back(stamp);
    }
    mirror_.expire(run_.expired);
}

void Run::verify() {
    // What differs by size and time could not be done or changed meanwhile; that is no damage.
    std::set<std::string> differing;
    run_.after =
        mirror_.plan([&](const mirror::Change& change) { differing.insert(change.path); }, false);
    if (!options_.verify) return;
    mirror_.plan(
        [&](const mirror::Change& change) {
            if (change.folder || change.kind != mirror::Change::Kind::change) return;
            if (differing.contains(change.path)) return;
            ++run_.damaged_count;
            if (run_.damaged.size() < kMostDamaged) run_.damaged.push_back(change.path);
        },
        true);
}

MirrorRun Run::go() {
    run_.plan = mirror_.plan(options_.on_change, options_.checksum);
    run_.refusals = refusals(run_.plan);
    if (options_.dry_run || (!run_.refusals.empty() && !options_.force)) return std::move(run_);
    if (options_.progress) {
        options_.progress->items_total = run_.plan.added + run_.plan.changed;
        options_.progress->bytes_total = run_.plan.bytes_to_copy;
        options_.progress->totals_known = true;
    }
    if (!run_.plan.is_empty()) {
        run_.stamp = new_stamp();
        // The source may have lost more since; but not without bound.
        mirror::Limits limits{static_cast<unsigned>(config_.max_change), config_.allow_changes, 0};
        uint64_t planned = run_.plan.removed + run_.plan.removed_folders;
        remember(run_.plan.target_files());  // what is there until all is done
        run_.outcome =
            mirror_.apply(run_.stamp, planned + limits.allowed(run_.plan), options_.progress);
        if (run_.outcome.removed == 0 && run_.plan.changed == 0) run_.stamp.clear();
    }
    run_.done = true;
    remember(run_.plan.source_files);
    verify();
    expire();
    return std::move(run_);
}

}  // namespace

MirrorRun run_mirror(const config::AppConfig& config, const config::MirrorConfig& mirror,
                     const MirrorRunOptions& options) {
    return Run(config, mirror, options).go();
}

std::vector<MirrorStatus> get_mirror_status(const config::AppConfig& config,
                                            catalog::Catalog* catalog, const Time& now) {
    std::vector<MirrorStatus> out;
    for (const config::MirrorConfig& mirror : config.mirrors) {
        MirrorStatus status{.mirror = &mirror};
        if (catalog) {
            auto last = catalog->last_run("mirror", mirror.name, "");
            if (last && !last->succeeded) status.failed_run = last;
            status.newest = catalog->last_success("mirror", mirror.name, "");
        }
        if (status.newest) {
            bool current = !is_from_future(status.newest->started, now) &&
                           now.since(status.newest->started) <= allowed_age(mirror.every);
            status.state = current ? MirrorStatus::State::good : MirrorStatus::State::late;
        }
        out.push_back(std::move(status));
    }
    return out;
}

}  // namespace sevenfold::protect
