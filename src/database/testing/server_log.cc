#include "database/testing/server_log.h"

#include <filesystem>

#include "os/file.h"

namespace sevenfold::database {

void copy_log(const TestServer& server, const std::string& folder, const std::string& incarnation) {
    std::string target = folder + "/" + incarnation;
    os::make_dirs(target);
    for (const auto& entry : std::filesystem::directory_iterator(server.data_dir())) {
        std::string name = entry.path().filename();
        if (!name.starts_with("bin.") || name.ends_with(".index") || name.ends_with(".state"))
            continue;
        std::filesystem::copy_file(entry.path(), target + "/" + name,
                                   std::filesystem::copy_options::overwrite_existing);
    }
}

std::unique_ptr<LogArchive> archive_log(const TestServer& server, const std::string& folder) {
    copy_log(server, folder);
    return open_log_folder(folder);
}

}  // namespace sevenfold::database
