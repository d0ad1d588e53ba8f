/** The npm packages, exactly as package-lock.json says. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./children.mjs";
import { unless } from "./lock.mjs";
import { checkout, root } from "./places.mjs";
import { Problem } from "./problem.mjs";
import { step } from "./progress.mjs";

/** `npm ci`, unless node_modules already is what the lock file says. */
export async function npmPackages() {
    await unless(`npm-${checkout}`, outdated, () =>
        step("installing npm packages", async () => {
            // No install scripts: the one of @pulumi/command fetches a plugin that nothing here uses.
            const args = ["ci", "--ignore-scripts", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
            const { code, output } = await run("npm", args, { cwd: root, env: withoutNpm() });
            if (code !== 0) throw new Problem(`npm ${args.join(" ")} failed:\n${output}`);
        }),
    );
}

/**
 * npm records what it installed in node_modules/.package-lock.json, last of all, so one comparison finds a lock file
 * that changed, an install that was interrupted and one that left the development packages out.
 */
function outdated() {
    const wanted = packages("package-lock.json");
    const found = packages("node_modules/.package-lock.json");
    return Object.entries(wanted).some(
        ([path, entry]) => path !== "" && !entry.optional && entry.version !== found[path]?.version,
    );
}

function packages(file) {
    try {
        return JSON.parse(readFileSync(join(root, file), "utf8")).packages;
    } catch (error) {
        if (error.code === "ENOENT") return {};
        throw error;
    }
}

/**
 * The environment without what `npm run` adds to it, which would tell an npm or a test started from here about the
 * wrong package. A user's own npm_config_* settings stay.
 * @returns {NodeJS.ProcessEnv}
 */
export function withoutNpm() {
    const own = /^(npm_(lifecycle|package|command|execpath|node_execpath)|npm_config_(loglevel|.*prefix)$|INIT_CWD$)/i;
    return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)));
}
