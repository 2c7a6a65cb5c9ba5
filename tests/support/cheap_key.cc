// cheap_key DIR|URL PASSWORD_FILE: the same password opens the repository there at once.
//
// A real key costs a third of a second to open, for us and for restic, and the tests open
// repositories thousands of times. This puts a key of the cheapest kind in the place of all keys
// there are: only for tests that are not about keys.
#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "core/error.h"
#include "repository/repository.h"
#include "storage/open.h"

namespace {

using namespace sevenfold;

// Without the white space at its end, as all programs read it.
Secret read_password(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    text.erase(text.find_last_not_of(" \t\r\n") + 1);
    if (!file || text.empty())
        throw Error(ErrorKind::usage, fmt::format("{}: no password in it", path));
    return Secret(text);
}

void make_cheap(const char* place, const char* password_file) {
    Secret password = read_password(password_file);
    auto backend = storage::open_backend(storage::parse_location(place));
    auto repository = repository::Repository::open(std::move(backend), password, {});
    storage::Backend& files = repository->backend();
    std::vector<Error> damaged;
    std::vector<repository::KeyInfo> keys = repository::list_keys(files, damaged);
    if (!damaged.empty()) throw damaged.front();
    Id cheap = repository::add_key(files, repository->master_key(), password,
                                   {.kdf_time = std::chrono::milliseconds(0)});
    for (const repository::KeyInfo& key : keys) repository::remove_key(files, key.id, cheap);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        fmt::print(stderr, "usage: cheap_key DIR|URL PASSWORD_FILE\n");
        return 2;
    }
    try {
        make_cheap(argv[1], argv[2]);
    } catch (const std::exception& error) {
        fmt::print(stderr, "cheap_key: {}\n", error.what());
        return 1;
    }
}
