import { spawnSync } from "node:child_process";
import { LabError } from "./failure.mjs";
import { packages } from "./packages.mjs";
import { say, secondsSince } from "./progress.mjs";

// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
const FORMAT = "${Package} ${db:Status-Status}\\n";

/**
 * Installs the Debian packages that the lab needs on the machine and that are missing. As root only; everybody else
 * is told what to install.
 */
export function installPackages() {
    const missing = missingPackages();
    if (missing.length === 0) return;
    if (process.getuid?.() !== 0) throw notInstalled(missing);
    const start = performance.now();
    say(`installing ${missing.join(", ")} …`);
    // The package lists may be fresh, stale or absent: try, and fetch them only when that fails.
    const failure = aptGet("install", ...missing) && (aptGet("update") || aptGet("install", ...missing));
    if (failure) throw new LabError(`apt-get could not install ${missing.join(", ")}:\n${failure}`);
    say(`packages installed in ${secondsSince(start)}`);
}

/** Throws the same error as `installPackages` for somebody who may not install. */
export function requirePackages() {
    const missing = missingPackages();
    if (missing.length > 0) throw notInstalled(missing);
}

/** @param {string[]} missing */
function notInstalled(missing) {
    return new LabError(
        `the lab needs Debian packages that are not installed: ${missing.join(" ")}\n` +
            "  run `npm run lab -- setup` as root, or: apt-get install --no-install-recommends " +
            missing.join(" "),
    );
}

/** @returns {string[]} */
function missingPackages() {
    const wanted = packages("machine");
    const query = spawnSync("dpkg-query", ["-W", "-f", FORMAT, ...wanted], {
        encoding: "utf8",
    });
    if (query.error) throw new LabError("the lab is built from Debian packages, and this machine has no dpkg");
    const installed = new Set(
        query.stdout
            .split("\n")
            .filter((line) => line.endsWith(" installed"))
            .map((line) => line.split(" ")[0]),
    );
    return wanted.filter((name) => !installed.has(name));
}

/** @param {"install" | "update"} verb @param {string[]} names @returns {string | undefined} what went wrong */
function aptGet(verb, ...names) {
    const args = ["-q", "-y", ...(verb === "install" ? ["--no-install-recommends"] : []), verb, ...names];
    const result = spawnSync("apt-get", args, {
        encoding: "utf8",
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
        stdio: ["ignore", "pipe", "pipe"],
        maxBuffer: 1 << 26,
    });
    return result.status === 0 ? undefined : `${result.error ?? ""}${result.stderr}`;
}
