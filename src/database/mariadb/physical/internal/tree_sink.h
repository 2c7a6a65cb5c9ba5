// Stores a backup stream's files in a tree as they come.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/progress.h"
#include "core/time.h"
#include "database/mariadb/physical/mbstream.h"
#include "repository/tree_writer.h"

namespace sevenfold::database::mariadb {

// Files of pages, which change in the middle. The redo log and text are cut by content.
bool has_pages(const std::string& path);

class TreeSink : public MbstreamHandler {
  public:
    struct Options {
        std::string prefix;  // "data/"
        size_t chunk_size = 64 << 10;
        std::string temporary_folder;
        Progress* progress = nullptr;
    };
    TreeSink(repository::TreeWriter& tree, Options options);
    ~TreeSink() override;

    void begin(const std::string& path, bool replaces) override;
    void data(const std::string& path, uint64_t offset, ByteView bytes) override;
    void end(const std::string& path) override;
    void rename(const std::string& from, const std::string& to) override;
    void remove(const std::string& path) override;

    // The content of the tool's own small file: `name` is "binlog_info", "checkpoints", "info".
    // nullptr when it did not come.
    const std::string* info(const std::string& name) const;
    // When the file with the position came: commits went on right after.
    Time position_came() const { return position_came_; }
    // Tables whose definition came without their files. mariadb-backup (10.11.19) loses an Aria
    // table that is made and renamed while it runs, and says that all is well.
    std::vector<std::string> tables_without_files() const;
    bool has_links() const { return has_links_; }  // tables with DATA DIRECTORY

  private:
    struct Target;

    repository::TreeWriter& tree_;
    const Options options_;
    std::map<std::string, std::unique_ptr<Target>> open_;
    std::map<std::string, std::string> info_;
    // By path: the engine's number in each .frm, and the files of engines where that shows.
    std::map<std::string, uint8_t> definitions_;
    std::set<std::string> table_files_;
    Time position_came_;
    bool has_links_ = false;
};

}  // namespace sevenfold::database::mariadb
