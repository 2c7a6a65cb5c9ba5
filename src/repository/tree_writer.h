// Builds a snapshot's tree from streams: files whose content a program produces, stored as it comes
// and never as temporary files.
//
// Blobs go to a BlobWriter, so to all of its places at once. Files may be written by several
// threads at a time, each file by one.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "repository/node.h"
#include "repository/writer.h"

namespace sevenfold::repository {

struct StreamFileOptions {
    // 0: chunks are cut by content. Else every chunk has this many bytes, so that a change inside
    // costs one chunk: for files of pages, and for logs that only grow.
    size_t fixed_chunk = 0;
    uint32_t mode = 0600;
    Time mtime;
};

class TreeWriter {
  public:
    // All folders and files get this time and owner; `time` makes the trees of equal content equal.
    struct Options {
        Time time;
        uint32_t uid = 0, gid = 0;
        std::string user, group;
    };
    TreeWriter(BlobWriter& writer, const ChunkerTables& chunker, Options options);
    ~TreeWriter();

    // A file under way.
    class File {
      public:
        ~File();  // without finish(): the file is not part of the tree
        // Throws Error{interrupted} once no place is left to store to.
        void write(ByteView bytes);
        uint64_t size() const;
        // The file becomes part of the tree.
        void finish();

      private:
        friend class TreeWriter;
        File();
        struct Impl;
        std::unique_ptr<Impl> impl_;
    };

    // `path`: names joined by '/', below the root. Throws Error{exists} for a path used before,
    // Error{corrupt} for names that are not plain (is_safe_name).
    std::unique_ptr<File> create(const std::string& path, const StreamFileOptions& options);
    // A file in one call.
    void add(const std::string& path, ByteView content, const StreamFileOptions& options);
    // A file or folder whose content every place is known to have; its name is that of the path.
    void add(const std::string& path, Node node);

    // Of a finished file, for producers that change their mind; its blobs stay. False: there is
    // none of that name. rename() takes the place of what had the new name.
    bool remove(const std::string& path);
    bool rename(const std::string& from, const std::string& to);

    // Stores all folders; the root's id. No file may be under way.
    Id finish();
    uint64_t file_count() const;
    uint64_t byte_count() const;

  private:
    struct Folder;
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

}  // namespace sevenfold::repository
