// A repository on a server that speaks restic's REST protocol (rest-server, `sevenfold serve`),
// over TCP, TLS or ssh. Versions 1 and 2; without version 2 a listing costs a request a file.
//
// Several requests at once, each over a connection of its own. Durability is the server's:
// `sevenfold serve` syncs file and folder before it answers. Such servers refuse to overwrite: an
// existing file with the same content counts as stored; one with other content is removed and
// stored again, except config, for which that is Error{exists}.
#pragma once

#include <string>

#include "core/secret.h"
#include "net/http_client.h"
#include "storage/backend.h"

namespace sevenfold::storage {

struct RestBackendOptions {
    std::string location;  // for messages
    std::string base_url;  // "https://host/path/"
    Secret credentials{};  // "user:password"; empty: none
    unsigned connections = 5;
    net::HttpOptions http{};
};

class RestBackend : public Backend {
  public:
    explicit RestBackend(RestBackendOptions options);

    std::string location() const override { return options_.location; }
    Capabilities capabilities() const override;
    void create() override;
    void store(const FileName& name, ByteView body) override;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override;
    Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX) override;
    uint64_t size(const FileName& name) override;
    // not_found when the repository is missing.
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override;
    // Two requests: the protocol does not tell whether there was something to remove.
    void remove(const FileName& name) override;

    // One request as it is, for a path below the repository; any complete answer is a success.
    net::HttpResponse attempt(const std::string& method, const std::string& path, ByteView body);

  private:
    struct Ask {
        std::string method, path;
        ByteView body{};
        std::string range{};
        bool version2 = false;
        uint64_t limit = 64 << 10;  // of the answer
    };
    net::HttpResponse perform(const Ask& ask, const std::string& what);
    // As perform(), but what is not a 200 becomes an Error.
    net::HttpResponse expect(const Ask& ask, const std::string& what);
    std::string path_of(const FileName& name) const;
    std::string what(const FileName& name) const;
    bool same(const FileName& name, ByteView body);

    const RestBackendOptions options_;
    net::HttpClient client_;
};

}  // namespace sevenfold::storage
