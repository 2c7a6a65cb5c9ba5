// The files of a base in a repository.
#pragma once

#include <exception>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/bytes.h"
#include "core/queue.h"
#include "repository/node.h"
#include "repository/repository.h"

namespace sevenfold::database::mariadb {

// All files below a tree, found once: bases have tens of thousands. Memory: some 200 bytes a file
// and 32 bytes a chunk. Immutable, so safe from several threads.
class BaseReader {
  public:
    BaseReader(const repository::Repository& repository, const Id& tree);
    // Throws Error{not_found}.
    const repository::Node& file(const std::string& path) const;
    // The statements of a file; nothing when there is no such file.
    std::vector<std::string> statements(const std::string& path) const;
    const repository::Repository& repository() const { return repository_; }

  private:
    const repository::Repository& repository_;
    std::unordered_map<std::string, repository::Node> files_;
};

// A file as a stream that another thread fills. Memory: 4 buffers of a blob each, at most 8 MiB,
// and what dump_file reads ahead.
class FileStream {
  public:
    FileStream(const BaseReader& base, const std::string& path, std::stop_token stop);
    ~FileStream() { queue_.abandon(); }
    // At most `size` bytes; 0 at the end. Throws what reading threw.
    size_t read(char* to, size_t size);

  private:
    BoundedQueue<Bytes> queue_;
    std::exception_ptr failure_;
    Bytes current_;
    size_t at_ = 0;
    std::jthread filler_;  // last: it uses all above
};

}  // namespace sevenfold::database::mariadb
