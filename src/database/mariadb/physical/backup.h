// A physical base: the files of a running server's data folder as mariadb-backup copies them, each
// stored as a file of its own while it comes, and never on a disk in between.
//
//   base.json    what it is: position, LSNs, versions
//   README       how to restore it with plain tools
//   data/…       the files, as `mbstream -x` would have written them; not prepared
//
// Files of pages are cut at multiples of the page size, so that a second base costs about what
// changed. mariadb-backup reads the data folder itself: it must run on the server's machine, as a
// user that may read there. The server is never stopped; commits wait for milliseconds.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "core/progress.h"
#include "database/base.h"
#include "repository/tree_writer.h"
#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

struct PhysicalOptions {
    sql::MariadbOptions login;
    std::string tool;  // empty: mariadb-backup, else mariabackup, from PATH
    // Of the files of pages; a multiple of the page size. 16 KiB stores least and needs four times
    // the index of 64 KiB.
    size_t chunk_size = 64 << 10;
    unsigned parallel = 2;  // files that the tool reads at a time
    // Only pages changed since the newest of these bases of the same data folder: the files are
    // .delta and .meta, and prepare() needs that base, too. None is of that folder: everything.
    std::vector<BaseManifest> since;
    // For the redo log written meanwhile, which the tool sends last, and Aria's logs. Empty:
    // $TMPDIR, else /tmp.
    std::string temporary_folder;
    std::vector<std::string> tool_arguments;  // more of them
    Progress* progress = nullptr;
    std::stop_token stop;
};

struct PhysicalResult {
    BaseManifest base;
    uint64_t files = 0, bytes = 0;  // below data/
    std::vector<std::string> warnings;
};

// Writes the base into the tree; base.json is the last file, and it is not written unless the tool
// said that all went well and its stream was whole. Throws Error: not_found when the tool is
// missing or the data folder is not here, unsupported when tool and server are of different series,
// permission for missing rights of the account or of the system's user, corrupt for a damaged or
// incomplete stream, timeout when tables changed so that the tool lost some (try again),
// interrupted; else io with the end of what the tool said.
PhysicalResult back_up_physical(const PhysicalOptions& options, repository::TreeWriter& tree);

// Writes the data folder of a server that has been stopped into the tree, as back_up_physical does
// with a running one's; `base` is what it was made from. Throws Error{io} when it changes
// meanwhile.
void store_prepared(const std::string& data_dir, BaseManifest base, size_t chunk_size,
                    repository::TreeWriter& tree, Progress* progress);

// The first of the usual names that runs, and its version ("10.11.19-MariaDB"). Throws not_found.
struct BackupTool {
    std::string program, version;
};
BackupTool find_backup_tool(const std::string& wanted = {});

// "10.11" of "10.11.19-MariaDB-…".
std::string version_series(const std::string& version);

}  // namespace sevenfold::database::mariadb
