#!/usr/bin/env node
/** `npx lvs …`: looks at hosts outside of any stack. Each command is a row. */
import { parseArgs } from "node:util";
import { closeAll } from "../provider/ssh/session";
import { claims } from "./claims";
import type { Command } from "./command";
import { doctor } from "./doctor";
import { connectionOptions, Usage, type Values } from "./host";
import { importing } from "./import";
import { drain, undrain } from "./maintenance";
import { script } from "./script";
import { status } from "./status";

const commands: Record<string, Command> = { doctor, status, drain, undrain, claims, import: importing, script };

const HELP = `lvs: looks at the hosts of a Linux Virtual Server

${Object.values(commands)
    .map(({ usage }) => usage)
    .join("\n")}

Where HOST is a name in lvs:hosts of the Pulumi stack that is selected in this directory, or [USER@]HOST[:PORT]; without
any [HOST…], all of lvs:hosts. Options:
    -s, --stack NAME       another stack than the selected one
    --json                 machine-readable
    --version              of this package
Of hosts that are given by address:
    -i, --identity FILE    private key (default: the SSH agent, SSH_AUTH_SOCK)
    --known-hosts FILE     known_hosts file (default: ~/.ssh/known_hosts)
    --sudo                 become root by sudo -n
`;

async function main(): Promise<number> {
    const { values, positionals } = parseArgs({
        options: {
            ...connectionOptions,
            json: { type: "boolean" },
            needs: { type: "string" },
            restore: { type: "boolean" },
            name: { type: "string" },
            "real-server": { type: "string", multiple: true },
            format: { type: "string" },
            out: { type: "string" },
            wait: { type: "string" },
            stats: { type: "boolean" },
            rate: { type: "boolean" },
            help: { type: "boolean", short: "h" },
            version: { type: "boolean" },
        },
        allowPositionals: true,
    });
    const [name, ...rest] = positionals;
    if (values.help === true) {
        process.stdout.write(HELP);
        return 0;
    }
    if (values.version === true) {
        process.stdout.write(`${(require("pulumi-lvs/package.json") as { version: string }).version}\n`);
        return 0;
    }
    if (name === undefined) {
        process.stderr.write(HELP);
        return 2;
    }
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command === undefined) {
        throw new Usage(`there is no command ${name}; there are ${Object.keys(commands).join(", ")} (lvs --help)`);
    }
    refuseIgnored(name, command, values);
    return command.run(rest, values);
}

/** An option that a command would pass over: its usage names those that it takes beside the connections'. */
function refuseIgnored(name: string, { usage }: Command, values: Values): void {
    const ignored = Object.keys(values).filter(
        (option) => !Object.hasOwn(connectionOptions, option) && !usage.includes(`--${option}`),
    );
    if (ignored.length === 0) return;
    throw new Usage(`lvs ${name} takes no ${ignored.map((option) => `--${option}`).join(", ")} (lvs --help)`);
}

// A reader may have seen enough (`| head`): what is under way goes on to its end.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
});

main()
    .catch((error: unknown) => {
        process.stderr.write(`lvs: ${error instanceof Error ? error.message : String(error)}\n`);
        return error instanceof Usage || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS") === true
            ? 2
            : 1;
    })
    .then(async (code) => {
        await closeAll();
        process.exitCode = code;
    });
