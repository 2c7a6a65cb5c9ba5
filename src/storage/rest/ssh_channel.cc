#include "storage/rest/ssh_channel.h"

#include <fcntl.h>

#include "net/ssh_command.h"

namespace sevenfold::storage {

SshChannel::SshChannel(const std::vector<std::string>& argv, int socket, std::string location,
                       bool may_ask)
    : location_(std::move(location)) {
    os::UniqueFd far(::fcntl(socket, F_DUPFD_CLOEXEC, 3));
    if (!far.valid()) throw errno_error("connection to ssh");
    ssh_ = std::make_unique<os::ChildProcess>(
        os::ChildOptions{.argv = argv, .connection = far.get(), .own_group = !may_ask});
}

Error SshChannel::explain(const Error& error) {
    if (error.kind() != ErrorKind::network) return error;
    auto status = ssh_->wait_for(std::chrono::seconds(2));
    if (!status) return error;
    ssh_->wait();  // for the end of its words
    return net::explain_ssh_failure(location_, ssh_->error_tail(), "ssh: " + status->display());
}

}  // namespace sevenfold::storage
