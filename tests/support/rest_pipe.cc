// The repository server on standard input and output, for tests of ssh: places below the program.
// It takes every file, whatever it hashes to. Called as `sevenfold serve --stdio --path DIR`.
#include <unistd.h>

#include <cstring>

#include "net/http_server.h"
#include "storage/rest_server/rest_server.h"

int main(int argc, char** argv) {
    using namespace sevenfold;
    std::string root;
    for (int i = 1; i + 1 < argc; ++i)
        if (std::strcmp(argv[i], "--path") == 0) root = argv[i + 1];
    if (root.empty()) return 2;
    storage::RestServer server({.root = root, .verify_uploads = false});
    net::serve_pipe({}, STDIN_FILENO, STDOUT_FILENO,
                    [&](const net::ServerRequest& request, net::RequestBody& body) {
                        return server.handle(request, body);
                    },
                    {});
    return 0;
}
