// The walk of a restore: goes through the trees, makes folders, links and other small things
// itself, and hands over files in batches. One thread.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "files/internal/restore_batch.h"
#include "files/internal/restore_report.h"
#include "files/internal/restore_target.h"
#include "files/internal/tree_loader.h"

namespace sevenfold::files::internal {

class Planner {
  public:
    // `emit` takes a batch over; false when the restore has stopped.
    Planner(const repository::Repository& repository, const RestoreOptions& options, Target& target,
            RestoreReport& report, std::function<bool(std::unique_ptr<Batch>)> emit);
    void run();

  private:
    struct LinkKey {
        uint64_t device, inode, content;
        bool operator==(const LinkKey&) const = default;
    };
    struct LinkKeyHash {
        size_t operator()(const LinkKey& key) const {
            return key.inode * 0x9E3779B97F4A7C15 ^ key.device ^ key.content;
        }
    };
    struct Linked {
        std::string primary;
        uint64_t names_left;
    };

    void walk(Folder& folder, const Id& tree, int depth);
    void visit(Folder& folder, repository::Node&& node, int depth);
    void visit_folder(Folder& folder, repository::Node&& node, bool take, bool enter, int depth);
    void visit_entry(Folder& folder, repository::Node&& node);
    void plan_file(Folder& folder, repository::Node&& node, const struct stat* present);
    bool place_chunks(FileEntry& file, uint32_t index);
    bool linked(Folder& folder, const repository::Node& node);
    bool left_alone(const repository::Node& node, const struct stat& present) const;
    void flush_if_full();
    void flush();

    const repository::Repository& repository_;
    const RestoreOptions& options_;
    Target& target_;
    RestoreReport& report_;
    std::function<bool(std::unique_ptr<Batch>)> emit_;
    TreeLoader loader_;
    Folder root_;
    std::vector<std::unique_ptr<Folder>> open_folders_;  // those the walk is in, outermost first
    uint64_t next_serial_ = 1;
    std::unique_ptr<Batch> batch_ = std::make_unique<Batch>();
    std::unordered_map<Id, uint32_t> pack_numbers_;  // of this batch
    // Names still to come of entries with several; they go when the last name was seen.
    std::unordered_map<LinkKey, Linked, LinkKeyHash> links_;
};

}  // namespace sevenfold::files::internal
