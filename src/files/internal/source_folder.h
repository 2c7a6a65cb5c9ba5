// A folder of a source, as the walk sees it: what is in it, and how that is read. One class for
// each kind of source; the walk itself, the comparison with the earlier tree and the new trees are
// the same for all.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "files/internal/file_reader.h"
#include "files/internal/run.h"
#include "files/internal/targets.h"
#include "repository/node.h"

namespace sevenfold::files::internal {

// Made by its parent, which outlives it. open() and entries() are called once, by one thread, then
// the others from several.
class SourceFolder {
  public:
    virtual ~SourceFolder() = default;
    // Throws when it cannot be read.
    virtual void open(Run& run) = 0;
    // Strictly ascending by name, with everything but content and subtree. What is excluded is left
    // out, so is what cannot be looked at, after it was reported.
    virtual std::vector<repository::Node> entries(Run& run) = 0;
    virtual std::string entry_path(const std::string& name) const = 0;
    // Of entry `i`, a folder.
    virtual std::unique_ptr<SourceFolder> child(size_t i, const repository::Node& node) = 0;
    // Whether a file's content cannot have changed since.
    virtual bool is_unchanged(const Run& run, const repository::Node& now,
                              const repository::Node& before) const = 0;
    // What an unchanged file gets from before.
    virtual void take_over(repository::Node& now, const repository::Node& before) const {
        now.content = before.content;
    }
    // Reads file `i`: see read_file_content.
    virtual void read(Run& run, unsigned worker, size_t i, repository::Node& node,
                      ContentDone done) = 0;
};

// The snapshot's root of folders and files in the file system; `targets` outlives it.
std::unique_ptr<SourceFolder> directory_source(const TargetNode& targets);

}  // namespace sevenfold::files::internal
