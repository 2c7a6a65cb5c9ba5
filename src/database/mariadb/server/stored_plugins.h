// What the files of a physical base need of a server besides mariadbd itself: a plugin that has the
// keys of encrypted files, or one that unpacks compressed pages. mariadb-backup notes it in
// backup-my.cnf, which is part of the base; keys are not.
#pragma once

#include <string>
#include <vector>

namespace sevenfold::database::mariadb {

struct StoredPlugins {
    std::string folder;                  // of the plugins' files; empty: none is needed
    std::vector<std::string> files;      // names there
    std::vector<std::string> arguments;  // for mariadbd, without the folder
};

// Of a data folder that came from a base; nothing is needed where there is no backup-my.cnf.
// Throws Error: not_found when a plugin or a file with keys is missing here; refused for a folder
// of plugins that is not the system's: what lies there would run in our name.
StoredPlugins stored_plugins(const std::string& data_dir);
// The file itself, for mariadb-backup --prepare; empty: there is none.
std::string stored_option_file(const std::string& data_dir);

}  // namespace sevenfold::database::mariadb
