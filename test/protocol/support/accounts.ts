import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";

/** Users of this machine, made for one test and taken away after it. Needs root. */

export const mayMakeAccounts = userInfo().uid === 0;

/** A user that exists while a test runs. */
export interface Account {
    user: string;
    password: string;
    /** Lets the user become root by sudo without a password. */
    allowSudo(): void;
    remove(): void;
}

/** Makes a user with a home, a password and the given login shell. */
export function makeAccount(shell = "/bin/sh"): Account {
    const user = `lvs-test-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
    const password = `pw ${Math.random().toString(36)} "'$`;
    execFileSync("useradd", ["--no-log-init", "-M", "-d", "/", "-s", shell, user]);
    execFileSync("chpasswd", { input: `${user}:${password}\n` });
    const sudoers = `/etc/sudoers.d/${user}`;
    return {
        user,
        password,
        allowSudo: () => writeFileSync(sudoers, `${user} ALL=(root) NOPASSWD: ALL\n`, { mode: 0o440 }),
        remove: () => {
            rmSync(sudoers, { force: true });
            execFileSync("userdel", ["-f", user], { stdio: "ignore" });
        },
    };
}
