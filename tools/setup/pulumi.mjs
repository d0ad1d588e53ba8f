/**
 * The Pulumi CLI: the user's own if it is new enough, else one that is built once from Go modules (tools/pulumi) and
 * cached. The npm package has no CLI, and neither has Debian.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./children.mjs";
import { home, which } from "./command.mjs";
import { unless } from "./lock.mjs";
import { cache, root } from "./places.mjs";
import { Problem } from "./problem.mjs";
import { step } from "./progress.mjs";
import { afterwards } from "./signals.mjs";
import { stamp } from "./stamp.mjs";

/** The oldest CLI of a user's own that is taken. */
const OLDEST = [3, 200];
const MODULE = join(root, "tools", "pulumi");
/**
 * Starts the process of dynamic providers. The CLI looks for it beside itself. It finds @pulumi/pulumi from the
 * program's directory, so one copy serves every checkout.
 */
const LAUNCHER = "pulumi-resource-pulumi-nodejs";
const LAUNCHER_SOURCE = join("node_modules", "@pulumi", "pulumi", LAUNCHER);

/** Which CLI to use; see pulumiEnv. */
export async function pulumiCli() {
    if (ownCli()) return;
    const { dir } = built();
    await unless("pulumi", () => !isComplete(dir), compile);
}

/**
 * What to set in the environment of whatever runs Pulumi: the CLI on PATH, and no look for updates. Fast, and right
 * only after ensure({ pulumi: true }).
 * @returns {{ PATH: string, PULUMI_SKIP_UPDATE_CHECK: string }}
 */
export function pulumiEnv() {
    const path = (process.env.PATH ?? "").split(delimiter);
    if (!ownCli() && path[0] !== built().dir) path.unshift(built().dir);
    return { PATH: path.join(delimiter), PULUMI_SKIP_UPDATE_CHECK: "true" };
}

/** @type {Map<string, boolean>} */
const judged = new Map();

/** Is there a `pulumi` on PATH, not put there by us, that is new enough and has its launcher? */
function ownCli() {
    const path = which("pulumi", []);
    if (!path || home(path).startsWith(cache)) return false;
    if (!judged.has(path)) judged.set(path, isUsable(path));
    return judged.get(path);
}

function isUsable(path) {
    if (!existsSync(join(home(path), LAUNCHER)) && !which(LAUNCHER, [])) return false;
    const env = { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" };
    const version = /^v(\d+)\.(\d+)\./.exec(spawnSync(path, ["version"], { encoding: "utf8", env }).stdout ?? "");
    if (!version) return false;
    const [major, minor] = version.slice(1).map(Number);
    return major === OLDEST[0] && minor >= OLDEST[1];
}

/** The version, and the directory that a change of go.mod, go.sum or the launcher makes another one. */
function built() {
    const version = /pulumi\/pkg\/v3 (v\S+)/.exec(readFileSync(join(MODULE, "go.mod"), "utf8"))[1];
    const inputs = ["tools/pulumi/go.mod", "tools/pulumi/go.sum", LAUNCHER_SOURCE];
    return { version, dir: join(cache, `pulumi-${version.slice(1)}-${stamp(root, inputs).slice(0, 12)}`) };
}

const isComplete = (dir) => existsSync(join(dir, "pulumi"));

async function compile() {
    if (!which("go")) throw new Problem("install Go 1.21 or newer, or a Pulumi CLI of version 3.200 or newer");
    const { version, dir } = built();
    mkdirSync(cache, { recursive: true });
    const fresh = join(cache, "pulumi-new");
    const clean = () => rmSync(fresh, { recursive: true, force: true });
    clean();
    await afterwards(clean, async () => {
        await step(`building the Pulumi CLI ${version} from Go modules, once, about 1.5 minutes`, async () => {
            const stampVersion = `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${version}`;
            const args = ["-buildvcs=false", "-tags=osusergo,grpcnotrace", `-ldflags=-s -w ${stampVersion}`];
            const target = ["-o", join(fresh, "pulumi"), "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"];
            const env = { ...process.env, CGO_ENABLED: "0", GOWORK: "off" };
            const { code, output } = await run("go", ["build", ...args, ...target], { cwd: MODULE, env });
            if (code !== 0) throw new Problem(`go build of the Pulumi CLI failed:\n${output}`);
        });
        copyFileSync(join(root, LAUNCHER_SOURCE), join(fresh, LAUNCHER));
        chmodSync(join(fresh, LAUNCHER), 0o755);
        renameSync(fresh, dir); // All or nothing: an interrupted build is never taken for a whole one.
    });
}
