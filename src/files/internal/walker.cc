#include "files/internal/walker.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/check.h"
#include "files/internal/file_reader.h"
#include "os/file.h"

namespace sevenfold::files::internal {
namespace {

using repository::BlobType;
using repository::Node;
using repository::NodeType;

constexpr size_t kBatchFiles = 64;            // small files read by one task
constexpr uint64_t kBatchBytes = 8ULL << 20;  // or this much

// A directory whose tree is being built. Shared by the tasks of its entries; the last of them to
// end stores the tree and reports to the parent.
struct Dir {
    std::shared_ptr<Dir> parent;
    size_t slot = 0;                      // in parent->nodes
    const TargetNode* targets = nullptr;  // only these entries, by their own source paths
    std::string path;
    os::UniqueFd fd;
    std::optional<Id> compare_tree;
    std::vector<Node> nodes;       // sorted by name; fixed in number once scanned
    std::vector<uint8_t> dropped;  // entries that could not be read
    std::vector<Node> before;      // of the tree compared with, until scanned
    std::atomic<size_t> pending{1};
    dev_t device = 0;

    std::string entry_path(size_t i) const {
        const std::string& name = nodes[i].name;
        if (targets) return absolute_path(targets->children.at(name).source);
        return path == "/" ? path + name : path + "/" + name;
    }
    int entry_dirfd() const { return targets ? AT_FDCWD : fd.get(); }
};
using DirPtr = std::shared_ptr<Dir>;

void finish_entry(Run& run, unsigned worker, const DirPtr& dir);

// Stores the tree of a directory whose entries are all complete.
void store_tree(Run& run, unsigned worker, const DirPtr& dir) {
    if (std::find(dir->dropped.begin(), dir->dropped.end(), 1) != dir->dropped.end()) {
        std::vector<Node> kept;
        for (size_t i = 0; i < dir->nodes.size(); ++i)
            if (!dir->dropped[i]) kept.push_back(std::move(dir->nodes[i]));
        dir->nodes = std::move(kept);
    }
    Id id = run.workers[worker]->store.add(BlobType::tree, repository::encode_tree(dir->nodes));
    auto& dirs = !dir->compare_tree         ? run.counters.dirs_new
                 : *dir->compare_tree == id ? run.counters.dirs_unmodified
                                            : run.counters.dirs_changed;
    dir->nodes = {};
    dir->fd.reset();
    if (!dir->parent) {
        run.root_tree = id;
        return;
    }
    ++dirs;
    dir->parent->nodes[dir->slot].subtree = id;
    finish_entry(run, worker, dir->parent);
}

void finish_entry(Run& run, unsigned worker, const DirPtr& dir) {
    if (--dir->pending == 0) store_tree(run, worker, dir);
}

// An entry that could not be read is left out of the tree and reported.
void drop_entry(Run& run, const DirPtr& dir, size_t i, const Error& error) {
    dir->dropped[i] = 1;
    run.issue(dir->entry_path(i), error, false);
}

void count_file(Run& run, const Node& node, bool known, bool unchanged) {
    Counters& c = run.counters;
    ++(unchanged ? c.files_unmodified : known ? c.files_changed : c.files_new);
    ++c.files;
    c.bytes += node.size;
    if (!run.options.progress) return;
    ++run.options.progress->items_done;
    if (unchanged) run.options.progress->bytes_done += node.size;
}

// A name of an inode that was read already under another name.
bool take_linked_content(Run& run, Node& node) {
    if (node.links < 2) return false;
    std::lock_guard lock(run.links_mutex);
    auto it = run.links.find({node.device_id, node.inode});
    if (it == run.links.end() || !is_unchanged(node, it->second, {})) return false;
    node.content = it->second.content;
    return true;
}

void remember_linked_content(Run& run, const Node& node) {
    if (node.links < 2) return;
    std::lock_guard lock(run.links_mutex);
    run.links.try_emplace({node.device_id, node.inode}, node);
}

struct ReadFiles : TaskPool::Task {
    ReadFiles(Run& r, DirPtr d, std::vector<size_t> e)
        : run_state(r), dir(std::move(d)), entries(std::move(e)) {}

    void run(unsigned worker) override {
        for (size_t i : entries) read(worker, i);
    }

    void read(unsigned worker, size_t i) {
        Node& node = dir->nodes[i];
        std::string path = dir->entry_path(i);
        if (run_state.options.progress) run_state.options.progress->set_current(path);
        if (take_linked_content(run_state, node)) {
            if (run_state.options.progress) run_state.options.progress->bytes_done += node.size;
            finish_entry(run_state, worker, dir);
            return;
        }
        try {
            const std::string& source =
                dir->targets ? dir->targets->children.at(node.name).source : node.name;
            read_file_content(run_state, worker, {dir->entry_dirfd(), source, path}, node,
                              [d = dir, i, path, &r = run_state](unsigned finisher) {
                                  remember_linked_content(r, d->nodes[i]);
                                  r.journal.record(path, d->nodes[i]);
                                  finish_entry(r, finisher, d);
                              });
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted || error.kind() == ErrorKind::internal)
                throw;
            drop_entry(run_state, dir, i, error);
            finish_entry(run_state, worker, dir);
        }
    }

    Run& run_state;
    DirPtr dir;
    std::vector<size_t> entries;
};

struct ScanDir : TaskPool::Task {
    ScanDir(Run& r, DirPtr d) : run_state(r), dir(std::move(d)) {}
    void run(unsigned worker) override;

  private:
    bool open();
    std::vector<std::string> names();
    void load_before();
    void scan_entries(const std::vector<std::string>& names);
    std::optional<Node> look_at(const std::string& name);
    const Node* earlier(const std::string& name);
    void sort_into_tasks();
    bool reuse(size_t i, const Node* before);

    Run& run_state;
    DirPtr dir;
    FolderTags tags;
    size_t before_at = 0;
    std::vector<std::unique_ptr<Task>> files, dirs;
    std::vector<size_t> batch;
    uint64_t batch_bytes = 0;

    void flush_batch() {
        if (!batch.empty())
            files.push_back(std::make_unique<ReadFiles>(run_state, dir, std::exchange(batch, {})));
        batch_bytes = 0;
    }
};

bool ScanDir::open() {
    if (dir->targets) return true;
    const std::string name =
        dir->parent && !dir->parent->targets ? dir->parent->nodes[dir->slot].name : dir->path;
    int at = dir->parent ? dir->parent->entry_dirfd() : AT_FDCWD;
    bool may_be_link =
        run_state.options.follow_targets && dir->parent && dir->parent->targets != nullptr;
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (may_be_link ? 0 : O_NOFOLLOW);
    dir->fd.reset(openat(at, name.c_str(), flags | O_NOATIME));
    if (!dir->fd.valid() && errno == EPERM) dir->fd.reset(openat(at, name.c_str(), flags));
    if (dir->fd.valid()) return true;
    drop_entry(run_state, dir->parent, dir->slot, errno_error("open directory"));
    return false;
}

std::vector<std::string> ScanDir::names() {
    std::vector<std::string> out;
    if (dir->targets) {
        for (const auto& [name, child] : dir->targets->children) out.push_back(name);
        return out;
    }
    int copy = fcntl(dir->fd.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw errno_error("duplicate descriptor");
    std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(copy), closedir);
    for (;;) {
        errno = 0;
        dirent* entry = readdir(stream.get());
        if (!entry) {
            if (errno == 0) break;
            run_state.issue(dir->path, errno_error("read directory"), false);
            break;
        }
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") out.emplace_back(name);
    }
    std::sort(out.begin(), out.end());
    return out;
}

void ScanDir::load_before() {
    if (!dir->compare_tree || !run_state.options.compare_repository) return;
    try {
        dir->before = run_state.options.compare_repository->load_tree(*dir->compare_tree);
    } catch (const Error& error) {
        log_warning("{}: the earlier snapshot's tree cannot be used, everything below is read: {}",
                    dir->path, error.message());
        dir->compare_tree.reset();
    }
}

// Names come in ascending order, as do the earlier nodes: a merge finds each in turn.
const Node* ScanDir::earlier(const std::string& name) {
    auto& before = dir->before;
    while (before_at < before.size() && before[before_at].name < name) ++before_at;
    if (before_at < before.size() && before[before_at].name == name) return &before[before_at];
    return nullptr;
}

std::optional<Node> ScanDir::look_at(const std::string& name) {
    const TargetNode* target = dir->targets ? &dir->targets->children.at(name) : nullptr;
    const std::string& source = target ? target->source : name;
    std::string path = target ? absolute_path(source)
                              : (dir->path == "/" ? dir->path + name : dir->path + "/" + name);
    const Exclude* exclude = run_state.options.exclude;
    if (!target && exclude && (tags.excludes(name) || exclude->by_path(path))) return std::nullopt;
    struct stat st {};
    // A link on the way to a target is walked through, as opening the target's path would.
    bool follow = target && (!target->whole || run_state.options.follow_targets);
    int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
    if (fstatat(dir->entry_dirfd(), source.c_str(), &st, flags) != 0) {
        run_state.issue(path, errno_error("stat"), false);
        return std::nullopt;
    }
    if (S_ISSOCK(st.st_mode)) return std::nullopt;
    if (exclude && !target && exclude->by_stat(st)) return std::nullopt;
    // Another file system below is an empty directory in the snapshot, as with restic.
    if (run_state.options.one_file_system && !target && st.st_dev != dir->device &&
        !S_ISDIR(st.st_mode))
        return std::nullopt;
    try {
        Node node = make_node(dir->entry_dirfd(), source, st, run_state.names,
                              run_state.options.with_atime, [&](const Error& problem) {
                                  bool intermediate = target && !target->whole;
                                  if (!intermediate) run_state.warn(path, problem);
                              });
        node.name = name;
        return node;
    } catch (const Error& error) {
        run_state.issue(path, error, false);
        return std::nullopt;
    }
}

// Takes over the content of an unchanged file, of the snapshot compared with or of an interrupted
// run.
bool ScanDir::reuse(size_t i, const Node* before) {
    Node& node = dir->nodes[i];
    if (run_state.options.force) return false;
    ChangeRules rules{run_state.options.ignore_inode, run_state.options.ignore_ctime};
    if (before && is_unchanged(node, *before, rules) && run_state.has_content(*before)) {
        node.content = before->content;
        return true;
    }
    if (run_state.journal.empty()) return false;
    auto finished = run_state.journal.find(dir->entry_path(i));
    if (!finished || !is_unchanged(node, *finished, rules) || !run_state.has_content(*finished))
        return false;
    node.content = std::move(finished->content);
    return true;
}

void ScanDir::scan_entries(const std::vector<std::string>& all) {
    dir->nodes.reserve(all.size());
    for (const std::string& name : all) {
        auto node = look_at(name);
        if (node) dir->nodes.push_back(std::move(*node));
    }
    dir->dropped.assign(dir->nodes.size(), 0);
}

void ScanDir::sort_into_tasks() {
    for (size_t i = 0; i < dir->nodes.size(); ++i) {
        Node& node = dir->nodes[i];
        const Node* before = earlier(node.name);
        if (node.is_dir()) {
            auto child = std::make_shared<Dir>();
            child->parent = dir;
            child->slot = i;
            child->path = dir->entry_path(i);
            child->device = static_cast<dev_t>(node.device_id);
            if (before && before->is_dir()) child->compare_tree = before->subtree;
            if (dir->targets && !dir->targets->children.at(node.name).whole)
                child->targets = &dir->targets->children.at(node.name);
            dirs.push_back(std::make_unique<ScanDir>(run_state, std::move(child)));
        } else if (node.is_file()) {
            bool known = before && before->is_file(), unchanged = reuse(i, before);
            count_file(run_state, node, known, unchanged);
            if (unchanged) continue;
            batch.push_back(i);
            batch_bytes += node.size;
            if (batch.size() >= kBatchFiles || batch_bytes >= kBatchBytes) flush_batch();
        }
    }
    flush_batch();
}

void ScanDir::run(unsigned worker) {
    run_state.check_going_on();
    if (!open()) {
        finish_entry(run_state, worker, dir->parent);
        return;
    }
    load_before();
    bool foreign = run_state.options.one_file_system && dir->parent && !dir->parent->targets &&
                   dir->device != dir->parent->device;
    if (!foreign) {
        if (run_state.options.exclude && run_state.options.exclude->has_tags() && !dir->targets)
            tags = run_state.options.exclude->tags_in(
                dir->fd.get(), dir->path, [&](const Error& e) { run_state.warn(dir->path, e); });
        scan_entries(names());
        sort_into_tasks();
    }
    dir->before = {};
    size_t entries = dirs.size();
    for (auto& task : files) entries += static_cast<ReadFiles&>(*task).entries.size();
    dir->pending += entries;
    // Files first: a directory's own files are read before its subdirectories are opened.
    files.insert(files.end(), std::make_move_iterator(dirs.begin()),
                 std::make_move_iterator(dirs.end()));
    run_state.pool.push(std::move(files));
    finish_entry(run_state, worker, dir);
}

}  // namespace

std::unique_ptr<TaskPool::Task> walk_task(Run& run, const TargetNode& root) {
    auto dir = std::make_shared<Dir>();
    dir->targets = &root;
    dir->path = "/";
    dir->compare_tree = run.options.compare_tree;
    return std::make_unique<ScanDir>(run, std::move(dir));
}

}  // namespace sevenfold::files::internal
