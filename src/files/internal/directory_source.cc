// A folder of the file system as a source.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "files/internal/source_folder.h"
#include "files/internal/stat_node.h"
#include "os/file.h"

namespace sevenfold::files::internal {
namespace {

using repository::Node;

class DirectoryFolder : public SourceFolder {
  public:
    // With `targets`: only these entries, by their own source paths.
    DirectoryFolder(const DirectoryFolder* parent, std::string name, std::string path, dev_t device,
                    const TargetNode* targets)
        : parent_(parent),
          name_(std::move(name)),
          path_(std::move(path)),
          device_(device),
          targets_(targets) {}

    void open(Run& run) override;
    std::vector<Node> entries(Run& run) override;
    std::string entry_path(const std::string& name) const override {
        if (targets_) return absolute_path(targets_->children.at(name).source);
        return path_ == "/" ? path_ + name : path_ + "/" + name;
    }
    std::unique_ptr<SourceFolder> child(size_t i, const Node& node) override;
    bool is_unchanged(const Run& run, const Node& now, const Node& before) const override {
        return internal::is_unchanged(now, before,
                                      {run.options.ignore_inode, run.options.ignore_ctime});
    }
    void read(Run& run, unsigned worker, size_t i, Node& node, ContentDone done) override;

  private:
    std::vector<std::string> names(Run& run);
    std::optional<Node> look_at(Run& run, const std::string& name);
    int entry_dirfd() const { return targets_ ? AT_FDCWD : fd_.get(); }

    const DirectoryFolder* const parent_;
    const std::string name_, path_;
    const dev_t device_;
    const TargetNode* const targets_;
    os::UniqueFd fd_;
    FolderTags tags_;
};

void DirectoryFolder::open(Run& run) {
    if (targets_) return;
    const std::string& name = parent_ && !parent_->targets_ ? name_ : path_;
    int at = parent_ ? parent_->entry_dirfd() : AT_FDCWD;
    bool may_be_link = run.options.follow_targets && parent_ && parent_->targets_ != nullptr;
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (may_be_link ? 0 : O_NOFOLLOW);
    fd_.reset(openat(at, name.c_str(), flags | O_NOATIME));
    if (!fd_.valid() && errno == EPERM) fd_.reset(openat(at, name.c_str(), flags));
    if (!fd_.valid()) throw errno_error("open directory");
}

std::vector<std::string> DirectoryFolder::names(Run& run) {
    std::vector<std::string> out;
    if (targets_) {
        for (const auto& [name, target] : targets_->children) out.push_back(name);
        return out;
    }
    int copy = fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw errno_error("duplicate descriptor");
    std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(copy), closedir);
    for (;;) {
        errno = 0;
        dirent* entry = readdir(stream.get());
        if (!entry) {
            if (errno == 0) break;
            run.issue(path_, errno_error("read directory"), false);
            break;
        }
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") out.emplace_back(name);
    }
    std::sort(out.begin(), out.end());
    return out;
}

std::optional<Node> DirectoryFolder::look_at(Run& run, const std::string& name) {
    const TargetNode* target = targets_ ? &targets_->children.at(name) : nullptr;
    const std::string& source = target ? target->source : name;
    std::string path =
        target ? absolute_path(source) : (path_ == "/" ? path_ + name : path_ + "/" + name);
    const Exclude* exclude = run.options.exclude;
    if (!target && exclude && (tags_.excludes(name) || exclude->by_path(path))) return std::nullopt;
    struct stat st {};
    // A link on the way to a target is walked through, as opening the target's path would.
    bool follow = target && (!target->whole || run.options.follow_targets);
    int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
    if (fstatat(entry_dirfd(), source.c_str(), &st, flags) != 0) {
        run.issue(path, errno_error("stat"), false);
        return std::nullopt;
    }
    if (S_ISSOCK(st.st_mode)) return std::nullopt;
    if (exclude && !target && exclude->by_stat(st)) return std::nullopt;
    // Another file system below is an empty directory in the snapshot, as with restic.
    if (run.options.one_file_system && !target && st.st_dev != device_ && !S_ISDIR(st.st_mode))
        return std::nullopt;
    try {
        Node node = make_node(entry_dirfd(), source, st, run.names, run.options.with_atime,
                              [&](const Error& problem) {
                                  bool intermediate = target && !target->whole;
                                  if (!intermediate) run.warn(path, problem);
                              });
        node.name = name;
        return node;
    } catch (const Error& error) {
        run.issue(path, error, false);
        return std::nullopt;
    }
}

std::vector<Node> DirectoryFolder::entries(Run& run) {
    std::vector<Node> out;
    bool foreign =
        run.options.one_file_system && parent_ && !parent_->targets_ && device_ != parent_->device_;
    if (foreign) return out;
    if (run.options.exclude && run.options.exclude->has_tags() && !targets_)
        tags_ = run.options.exclude->tags_in(fd_.get(), path_,
                                             [&](const Error& e) { run.warn(path_, e); });
    const std::vector<std::string> all = names(run);
    out.reserve(all.size());
    for (const std::string& name : all)
        if (auto node = look_at(run, name)) out.push_back(std::move(*node));
    return out;
}

std::unique_ptr<SourceFolder> DirectoryFolder::child(size_t, const Node& node) {
    const TargetNode* target = targets_ ? &targets_->children.at(node.name) : nullptr;
    return std::make_unique<DirectoryFolder>(this, node.name, entry_path(node.name),
                                             static_cast<dev_t>(node.device_id),
                                             target && !target->whole ? target : nullptr);
}

void DirectoryFolder::read(Run& run, unsigned worker, size_t, Node& node, ContentDone done) {
    const std::string& source = targets_ ? targets_->children.at(node.name).source : node.name;
    const std::string path = entry_path(node.name);
    read_file_content(run, worker, {entry_dirfd(), source, path}, node, std::move(done));
}

}  // namespace

std::unique_ptr<SourceFolder> directory_source(const TargetNode& targets) {
    return std::make_unique<DirectoryFolder>(nullptr, "", "/", 0, &targets);
}

}  // namespace sevenfold::files::internal
