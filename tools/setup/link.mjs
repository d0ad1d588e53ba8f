/**
 * node_modules/pulumi-lvs → the checkout itself. The shim in users' state says `require("pulumi-lvs/dynamic")`, and the
 * provider process resolves that from the program's directory, which here is the checkout.
 */
import { lstatSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { root } from "./places.mjs";

const LINK = join(root, "node_modules", "pulumi-lvs");
const TARGET = "..";

export function linkSelf() {
    if (isRight()) return;
    mkdirSync(join(LINK, ".."), { recursive: true });
    if (lstatSync(LINK, { throwIfNoEntry: false })?.isDirectory()) rmSync(LINK, { recursive: true });
    const fresh = `${LINK}.${process.pid}`;
    symlinkSync(TARGET, fresh);
    renameSync(fresh, LINK);
}

function isRight() {
    try {
        return readlinkSync(LINK) === TARGET;
    } catch {
        return false; // Absent, or no link.
    }
}
