#include "files/internal/walker.h"

#include "core/check.h"

namespace sevenfold::files::internal {
namespace {

using repository::BlobType;
using repository::Node;

constexpr size_t kBatchFiles = 64;            // small files read by one task
constexpr uint64_t kBatchBytes = 8ULL << 20;  // or this much

// A directory whose tree is being built. Shared by the tasks of its entries; the last of them to
// end stores the tree and reports to the parent.
struct Dir {
    std::shared_ptr<Dir> parent;
    size_t slot = 0;  // in parent->nodes
    std::unique_ptr<SourceFolder> folder;
    std::string path;
    std::optional<Id> compare_tree;
    std::vector<Node> nodes;       // sorted by name; fixed in number once scanned
    std::vector<uint8_t> dropped;  // entries that could not be read
    std::vector<Node> before;      // of the tree compared with, until scanned
    std::atomic<size_t> pending{1};

    std::string entry_path(size_t i) const { return folder->entry_path(nodes[i].name); }
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
    dir->folder.reset();
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
            dir->folder->read(run_state, worker, i, node,
                              [d = dir, i, path, &r = run_state](unsigned finisher) {
                                  remember_linked_content(r, d->nodes[i]);
                                  r.journal.record(path, d->nodes[i]);
                                  finish_entry(r, finisher, d);
                              });
        } catch (const Error& error) {
            // A source that went away as a whole must not look like one without these files.
            if (error.kind() == ErrorKind::interrupted || error.kind() == ErrorKind::internal ||
                error.kind() == ErrorKind::network || error.kind() == ErrorKind::timeout)
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
    void load_before();
    const Node* earlier(const std::string& name);
    void sort_into_tasks();
    bool reuse(size_t i, const Node* before);

    Run& run_state;
    DirPtr dir;
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

// Takes over the content of an unchanged file, of the snapshot compared with or of an interrupted
// run.
bool ScanDir::reuse(size_t i, const Node* before) {
    Node& node = dir->nodes[i];
    if (run_state.options.force) return false;
    auto take = [&](const Node& earlier_node) {
        return dir->folder->is_unchanged(run_state, node, earlier_node) &&
               run_state.has_content(earlier_node) &&
               (dir->folder->take_over(node, earlier_node), true);
    };
    if (before && take(*before)) return true;
    if (run_state.journal.empty()) return false;
    auto finished = run_state.journal.find(dir->entry_path(i));
    return finished && take(*finished);
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
            child->folder = dir->folder->child(i, node);
            if (before && before->is_dir()) child->compare_tree = before->subtree;
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
    try {
        dir->folder->open(run_state);
    } catch (const Error& error) {
        if (!dir->parent) throw;
        drop_entry(run_state, dir->parent, dir->slot, error);
        finish_entry(run_state, worker, dir->parent);
        return;
    }
    load_before();
    dir->nodes = dir->folder->entries(run_state);
    dir->dropped.assign(dir->nodes.size(), 0);
    sort_into_tasks();
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

std::unique_ptr<TaskPool::Task> walk_task(Run& run, std::unique_ptr<SourceFolder> root) {
    auto dir = std::make_shared<Dir>();
    dir->folder = std::move(root);
    dir->path = "/";
    dir->compare_tree = run.options.compare_tree;
    return std::make_unique<ScanDir>(run, std::move(dir));
}

}  // namespace sevenfold::files::internal
