#include "files/internal/restore_planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "files/internal/packed_content.h"

namespace sevenfold::files::internal {

using repository::BlobHandle;
using repository::BlobType;
using repository::Node;
using repository::NodeType;

namespace {

constexpr size_t kBatchEntries = 16384;
constexpr size_t kBatchChunks = 131072;

unsigned loader_threads(const repository::Repository& repository) {
    return std::clamp(repository.backend().capabilities().connections, 1U, 8U);
}

uint64_t mix(const std::vector<Id>& content) {
    uint64_t out = content.size();
    for (const Id& id : content) out = out * 0x9E3779B97F4A7C15 + IdHash{}(id);
    return out;
}

}  // namespace

Planner::Planner(const repository::Repository& repository, const RestoreOptions& options,
                 Target& target, RestoreReport& report,
                 std::function<bool(std::unique_ptr<Batch>)> emit)
    : repository_(repository),
      options_(options),
      target_(target),
      report_(report),
      emit_(std::move(emit)),
      loader_(repository, loader_threads(repository)) {
    root_.made = true;
    root_.exists = target.exists();
}

void Planner::run() {
    walk(root_, options_.tree, 0);
    flush();
    if (options_.progress) options_.progress->totals_known = true;
}

void Planner::walk(Folder& folder, const Id& tree, int depth) {
    std::vector<Node> nodes;
    try {
        if (depth > kMaxDepth)
            throw Error(ErrorKind::refused,
                        fmt::format("folders nested deeper than {}", kMaxDepth));
        nodes = loader_.take(tree);
    } catch (const Error& error) {
        return report_.problem(folder.path, error.with_context("its list of entries"));
    }
    if (options_.delete_extra) target_.delete_extra(folder, nodes);
    size_t ahead = 0, taken = 0;
    for (size_t i = 0; i < nodes.size(); ++i) {
        report_.check_stop();
        for (; ahead < nodes.size() && taken < TreeLoader::kAhead; ++ahead) {
            const Node& next = nodes[ahead];
            if (!next.subtree || !options_.select.choose("/" + join(folder.path, next.name)).enter)
                continue;
            loader_.prefetch(*next.subtree);
            ++taken;
        }
        if (nodes[i].subtree && taken > 0) --taken;
        visit(folder, std::move(nodes[i]), depth);
    }
}

void Planner::visit(Folder& folder, Node&& node, int depth) {
    if (!repository::is_safe_name(node.name))
        return report_.problem(join(folder.path, node.name),
                               Error(ErrorKind::refused, "not a name that an entry may have",
                                     "The repository is damaged or somebody has tampered with it; "
                                     "the entry is left out."));
    std::string path = join(folder.path, node.name);
    Select::Choice choice = options_.select.choose("/" + path);
    if (options_.progress && next_serial_ % 64 == 0) options_.progress->set_current(path);
    try {
        if (node.is_dir())
            visit_folder(folder, std::move(node), choice.take, choice.enter, depth);
        else if (choice.take)
            visit_entry(folder, std::move(node));
    } catch (const Error& error) {
        report_.problem(path, error);
    }
}

void Planner::visit_folder(Folder& parent, Node&& node, bool take, bool enter, int depth) {
    if (!take && !enter) return;
    // Owned by the planner, not by this frame: when an error ends the walk, the writer may still
    // work on files in this folder.
    Folder& folder = *open_folders_.emplace_back(std::make_unique<Folder>());
    folder.serial = next_serial_++;
    folder.parent = &parent;
    folder.name = node.name;
    folder.path = join(parent.path, node.name);
    folder.node = std::move(node);
    if (!take || target_.make(folder)) try {
            if (!folder.node.subtree)
                throw Error(ErrorKind::corrupt, "a folder without list of entries");
            if (enter) walk(folder, *folder.node.subtree, depth + 1);
        } catch (const Error& error) {
            report_.problem(folder.path, error);
        }
    std::unique_ptr<Folder> left = std::move(open_folders_.back());
    open_folders_.pop_back();
    // Entered only for what may lie below, and nothing did: it was not made.
    if (!left->made) return;
    report_.planned(1, 0);
    batch_->finished.push_back(std::move(left));
    flush_if_full();
}

bool Planner::left_alone(const Node& node, const struct stat& present) const {
    if (options_.overwrite == Overwrite::never) return true;
    Time there{present.st_mtim.tv_sec, static_cast<int32_t>(present.st_mtim.tv_nsec)};
    return options_.overwrite == Overwrite::if_newer && node.mtime <= there;
}

void Planner::visit_entry(Folder& folder, Node&& node) {
    std::string path = join(folder.path, node.name);
    if (node.type == NodeType::socket || node.type == NodeType::irregular)
        return report_.note(fmt::format("{}: a {} is not restored", path, name(node.type)));
    bool device = node.type == NodeType::dev || node.type == NodeType::chardev;
    if (device && !(options_.device_nodes && target_.is_superuser()))
        return report_.note(
            fmt::format("{}: a device is restored only for root and on request", path));
    if (!target_.make(folder)) return;
    report_.planned(1, node.is_file() ? node.size : 0);

    std::optional<struct stat> present;
    if (!folder.fresh) present = target_.stat(folder, node.name);
    if (present && left_alone(node, *present)) {
        ++report_.skipped;
        report_.bytes_done(node.size);
        return report_.item_done();
    }
    if (node.links > 1 && linked(folder, node)) return;
    if (node.is_file()) return plan_file(folder, std::move(node), present ? &*present : nullptr);
    if (!options_.dry_run) target_.make_special(folder, node);
    ++report_.others;
    report_.item_done();
}

// True when an earlier entry is the same file: this name becomes a link to it.
bool Planner::linked(Folder& folder, const Node& node) {
    LinkKey key{node.device_id, node.inode, mix(node.content)};
    std::string path = join(folder.path, node.name);
    auto [it, is_first] = links_.try_emplace(key, Linked{path, node.links - 1});
    if (is_first) return false;
    batch_->links.push_back({&folder, node.name, it->second.primary, node.mtime});
    report_.bytes_done(node.size);
    if (--it->second.names_left == 0) links_.erase(it);
    return true;
}

void Planner::plan_file(Folder& folder, Node&& node, const struct stat* present) {
    auto index = static_cast<uint32_t>(batch_->files.size());
    FileEntry& file = batch_->files.emplace_back();
    file.folder = &folder;
    file.node = std::move(node);
    if (!place_chunks(file, index)) {
        file.failed = true;
        return flush_if_full();
    }
    if (present) {
        bool regular = S_ISREG(present->st_mode);
        // Writing through one name of a file that has others would change those too.
        bool shared = present->st_nlink > 1 && file.node.links <= 1;
        if (!regular || shared) {
            file.clear_way = true;
        } else {
            file.action = FileAction::modify;
            Time there{present->st_mtim.tv_sec, static_cast<int32_t>(present->st_mtim.tv_nsec)};
            if (options_.overwrite == Overwrite::if_changed && file.node.mtime == there &&
                static_cast<uint64_t>(present->st_size) == file.size)
                file.action = FileAction::trust;
        }
    }
    flush_if_full();
}

// False, and reported, when it is not known where chunks go.
bool Planner::place_chunks(FileEntry& file, uint32_t index) {
    file.first_placement = static_cast<uint32_t>(batch_->placements.size());
    file.placement_count = static_cast<uint32_t>(file.node.content.size());
    size_t unknown = 0, unknown_at = 0;
    for (const Id& id : file.node.content) {
        Placement p{.blob = id, .file = index, .pack = Placement::kNoPack};
        auto found = repository_.index().find({BlobType::data, id});
        if (found && is_plausible(found->blob)) {
            auto [it, is_new] =
                pack_numbers_.try_emplace(found->pack, static_cast<uint32_t>(batch_->packs.size()));
            if (is_new) batch_->packs.push_back(found->pack);
            p.pack = it->second;
            p.offset = found->blob.offset;
            p.length = found->blob.length;
            p.uncompressed_length = found->blob.uncompressed_length;
            p.size = found->blob.plaintext_length();
            file.size += p.size;
        } else {
            ++unknown;
            unknown_at = batch_->placements.size();
        }
        batch_->placements.push_back(p);
    }
    std::vector<Id>().swap(file.node.content);
    // The length of one missing chunk follows from the size of the file.
    if (unknown == 1 && file.node.size > file.size &&
        file.node.size - file.size <= repository::kChunkMax) {
        batch_->placements[unknown_at].size = static_cast<uint32_t>(file.node.size - file.size);
        file.size = file.node.size;
    } else if (unknown > 0) {
        report_.problem(file.path(),
                        Error(ErrorKind::corrupt,
                              fmt::format("{} of its {} chunks are not in the index", unknown,
                                          file.placement_count),
                              "Run check on the repository; another place may hold a good copy."));
        return false;
    }
    if (file.size != file.node.size)
        report_.problem(
            file.path(),
            Error(ErrorKind::corrupt, fmt::format("its chunks hold {} bytes, its entry says {}",
                                                  file.size, file.node.size)));
    uint64_t at = 0;
    for (uint32_t i = 0; i < file.placement_count; ++i) {
        Placement& p = batch_->placements[file.first_placement + i];
        p.file_offset = at;
        at += p.size;
    }
    return true;
}

void Planner::flush_if_full() {
    size_t entries = batch_->files.size() + batch_->finished.size() + batch_->links.size();
    if (entries >= kBatchEntries || batch_->placements.size() >= kBatchChunks) flush();
}

void Planner::flush() {
    auto full = std::exchange(batch_, std::make_unique<Batch>());
    pack_numbers_.clear();
    if (!emit_(std::move(full))) throw Error(ErrorKind::interrupted, "restore stopped");
}

}  // namespace sevenfold::files::internal
