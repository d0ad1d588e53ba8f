import { readdirSync, readFileSync } from "node:fs";
import { LabError } from "./failure.mjs";

/**
 * The machine's own Debian sources, for the image. Third-party lists of the machine are left out: the image needs
 * none, and one that cannot be reached would fail the build.
 *
 * @typedef {{ codename: string, lines: string[] }} Sources  lines in the one-line format of sources.list
 */

/** @returns {Sources} */
export function debianSources(etc = "/etc") {
    const codename = /^VERSION_CODENAME=(\S+)/m.exec(read(`${etc}/os-release`))?.[1];
    if (!codename) throw new LabError("the lab's image is built from the machine's Debian sources; this is not Debian");
    const suites = ["", "-updates", "-security"].map((ending) => codename + ending);
    const lines = [...oneLine(etc), ...deb822(etc)]
        .map((source) => ({ ...source, suites: source.suites.filter((suite) => suites.includes(suite)) }))
        .filter((source) => source.suites.length > 0 && source.components.includes("main"))
        .flatMap(({ uris, suites, options, components }) => {
            return uris.flatMap((uri) =>
                suites.map((suite) => ["deb", options, uri, suite, ...components].filter(Boolean).join(" ")),
            );
        });
    if (lines.length === 0) throw new LabError(`no source of Debian ${codename} in /etc/apt/sources.list*`);
    return { codename, lines: [...new Set(lines)] };
}

/** @typedef {{ uris: string[], suites: string[], components: string[], options: string }} Source */

/** @param {string} etc @returns {Source[]} */
function oneLine(etc) {
    return ["sources.list", ...list(etc, ".list")]
        .flatMap((name) => read(`${etc}/apt/${name}`).split("\n"))
        .map((line) => /^\s*deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*?)\s*(#.*)?$/.exec(line))
        .filter((match) => match !== null)
        .map(([, options, uri, suite, components]) => {
            return { uris: [uri], suites: [suite], components: words(components), options: (options ?? "").trim() };
        });
}

/** @param {string} etc @returns {Source[]} */
function deb822(etc) {
    const paragraphs = list(etc, ".sources").flatMap((name) => {
        return read(`${etc}/apt/${name}`)
            .replace(/^#.*\n?/gm, "")
            .split(/\n\s*\n/);
    });
    return paragraphs
        .map(fields)
        .filter((field) => words(field.types).includes("deb") && field.enabled !== "no")
        .map((field) => {
            const signedBy = field["signed-by"]?.startsWith("/") ? `[signed-by=${field["signed-by"]}]` : "";
            return {
                uris: words(field.uris),
                suites: words(field.suites),
                components: words(field.components),
                options: signedBy,
            };
        });
}

/** @param {string} paragraph @returns {Record<string, string>} */
function fields(paragraph) {
    const entries = paragraph.split(/\n(?=\S)/).map((field) => /^(\S+?):\s*([\s\S]*)$/.exec(field.trim()));
    return Object.fromEntries(
        entries.filter((match) => match !== null).map(([, key, value]) => [key.toLowerCase(), value]),
    );
}

/** @param {string | undefined} text */
function words(text) {
    return (text ?? "").split(/\s+/).filter(Boolean);
}

/** @param {string} etc @param {string} ending */
function list(etc, ending) {
    try {
        return readdirSync(`${etc}/apt/sources.list.d`)
            .filter((name) => name.endsWith(ending))
            .map((name) => `sources.list.d/${name}`);
    } catch {
        return [];
    }
}

/** @param {string} path */
function read(path) {
    try {
        return readFileSync(path, "utf8");
    } catch {
        return "";
    }
}
