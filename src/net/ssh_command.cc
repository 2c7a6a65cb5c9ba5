#include "net/ssh_command.h"

#include <fmt/format.h>

#include "core/log.h"

namespace sevenfold::net {

namespace {

// All but what is to be run there.
std::vector<std::string> ssh_command(const SshTarget& target, const std::vector<std::string>& extra,
                                     bool may_ask) {
    std::vector<std::string> argv = {"ssh"};
    argv.insert(argv.end(), extra.begin(), extra.end());
    // Keepalives notice a dead peer even when no request is waiting. Forwardings of the user's
    // configuration have no use here (sftp(1) turns them off too).
    for (const char* option :
         {"ServerAliveInterval=60", "ServerAliveCountMax=4", "ForwardAgent=no", "ForwardX11=no",
          "ClearAllForwardings=yes", "PermitLocalCommand=no"}) {
        argv.push_back("-o");
        argv.push_back(option);
    }
    if (!may_ask) {
        argv.push_back("-o");
        argv.push_back("BatchMode=yes");
    }
    if (target.port != 0) {
        argv.push_back("-p");
        argv.push_back(std::to_string(target.port));
    }
    if (!target.user.empty()) {
        argv.push_back("-l");
        argv.push_back(target.user);
    }
    return argv;
}

}  // namespace

std::vector<std::string> ssh_subsystem_command(const SshTarget& target, std::string_view subsystem,
                                               const std::vector<std::string>& extra,
                                               bool may_ask) {
    std::vector<std::string> argv = ssh_command(target, extra, may_ask);
    argv.insert(argv.end(), {"-s", "--", target.host, std::string(subsystem)});
    return argv;
}

std::vector<std::string> ssh_program_command(const SshTarget& target, std::string_view command,
                                             const std::vector<std::string>& extra, bool may_ask) {
    std::vector<std::string> argv = ssh_command(target, extra, may_ask);
    // No terminal at the far end: it would change bytes.
    argv.insert(argv.end(), {"-T", "--", target.host, std::string(command)});
    return argv;
}

std::string last_lines(std::string_view text, size_t count) {
    std::string out;
    while (!text.empty() && count > 0) {
        size_t newline = text.rfind('\n');
        std::string_view line = newline == text.npos ? text : text.substr(newline + 1);
        text = newline == text.npos ? std::string_view() : text.substr(0, newline);
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
        if (line.empty()) continue;
        out = printable(line) + (out.empty() ? "" : "; ") + out;
        --count;
    }
    return out;
}

Error explain_ssh_failure(std::string_view location, std::string_view error_tail,
                          std::string_view how_it_ended) {
    struct Row {
        std::string_view words;
        ErrorKind kind;
        std::string_view meaning;
        std::string_view hint;
    };
    static constexpr Row kRows[] = {
        {"REMOTE HOST IDENTIFICATION HAS CHANGED", ErrorKind::refused,
         "the server's host key has changed",
         "Find out why before you go on: this may be an attack. If the change is right, remove the "
         "old key with ssh-keygen -R and connect once with ssh."},
        {"Host key verification failed", ErrorKind::refused,
         "the server's host key is not known or does not match",
         "Connect once with ssh, compare the key's fingerprint and accept it."},
        {"Permission denied (", ErrorKind::permission, "the server does not accept our key",
         "Check the user's name and that the key is in its authorized_keys; ssh -v shows more."},
        {"Too many authentication failures", ErrorKind::permission,
         "the server does not accept our keys", "Name the one right key with IdentityFile."},
        {"subsystem request failed", ErrorKind::unsupported, "the server offers no sftp subsystem",
         "Enable \"Subsystem sftp internal-sftp\" in the server's sshd_config."},
        {"Could not resolve hostname", ErrorKind::network, "the host's name is not known",
         "Check the host's name and the name servers."},
        {"Connection refused", ErrorKind::network, "the connection was refused",
         "Check the port and that the ssh server runs."},
        {"No route to host", ErrorKind::network, "the host cannot be reached",
         "Check the network and the firewall."},
        {"Connection timed out", ErrorKind::network, "the host does not answer",
         "Check the network and the firewall."},
        {"command not found", ErrorKind::unsupported, "the far end has no such program",
         "Install it there, in the PATH of commands that ssh runs."},
        {": not found", ErrorKind::unsupported, "the far end has no such program",
         "Install it there, in the PATH of commands that ssh runs."},
        {": No such file or directory", ErrorKind::unsupported, "the far end has no such program",
         "Install it there, in the PATH of commands that ssh runs."},
    };
    std::string said = last_lines(error_tail, 2);
    for (const Row& row : kRows)
        if (error_tail.find(row.words) != error_tail.npos)
            return Error(row.kind, fmt::format("{}: {} ({})", location, row.meaning, said),
                         std::string(row.hint));
    if (said.empty()) said = how_it_ended;
    return Error(ErrorKind::network, fmt::format("{}: the connection failed: {}", location, said));
}

}  // namespace sevenfold::net
