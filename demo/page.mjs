/** What the demo prints: headings with the time since the start, commands as they were run, tables, verdicts. */

const terminal = process.stdout.isTTY === true && !process.env.NO_COLOR;
const began = Date.now();

const style = (code) => (text) => (terminal ? `\u001b[${code}m${text}\u001b[0m` : text);
export const bold = style("1");
export const dim = style("2");
const green = style("32");
const red = style("31");
const cyan = style("36");

const print = (text = "") => process.stdout.write(`${text}\n`);
const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;

/** How long each step took, for the table at the end. @type {{ title: string, took: number }[]} */
const times = [];

/** What did not show what it should. @type {string[]} */
const failures = [];

/** A paragraph, as wide as a terminal usually is. @param {string} text */
export function tell(text) {
    const lines = [""];
    for (const word of text.split(/\s+/).filter((each) => each !== "")) {
        const last = lines.length - 1;
        if (lines[last].length + word.length > 96) lines.push(word);
        else lines[last] += lines[last] === "" ? word : ` ${word}`;
    }
    print(lines.map((line) => `  ${line}`).join("\n"));
}

/** @param {string} title */
export function heading(title) {
    const at = dim(`[${seconds(Date.now() - began)}]`);
    print(`\n${bold(`── ${title} `)}${bold("─".repeat(Math.max(3, 78 - title.length)))} ${at}`);
}

/** A command as a person would type it. @param {string} command @param {string} [where] a lab host */
export function prompt(command, where = "") {
    print(cyan(`  ${where === "" ? "" : `${where} `}$ ${command}`));
}

/** Output of a program, or the text of one. @param {string} text */
export function show(text) {
    print(
        text
            .replace(/\s+$/, "")
            .split("\n")
            .map((line) => (line === "" ? "" : `  ${dim("│")} ${line}`.trimEnd()))
            .join("\n"),
    );
}

/** A small table; the first row is its heading. @param {(string | number)[][]} rows */
export function table(rows) {
    const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
    for (const [index, row] of rows.entries()) {
        const cells = row.map((cell, column) =>
            typeof cell === "number" ? String(cell).padStart(widths[column]) : cell.padEnd(widths[column]),
        );
        const line = `    ${cells.join("   ")}`.trimEnd();
        print(index === 0 ? bold(line) : line);
    }
}

/**
 * Says whether something is as it should be. The demo fails at the end if one is not.
 * @param {boolean} holds
 * @param {string} what
 */
export function verdict(holds, what) {
    if (!holds) failures.push(what);
    print(holds ? green(`  ✔ ${what}`) : red(`  ✘ ${what}`));
}

/**
 * Runs a step that takes time: shows that it lives, and notes how long it took. On a terminal in place, in a log once
 * every ten seconds.
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
    const since = Date.now();
    const waiting = () => {
        const text = dim(`  … ${title}, ${Math.round((Date.now() - since) / 1000)} s`);
        process.stdout.write(terminal ? `\r\u001b[K${text}` : `${text}\n`);
    };
    const timer = setInterval(waiting, terminal ? 500 : 10_000);
    try {
        return await work();
    } finally {
        clearInterval(timer);
        if (terminal) process.stdout.write("\r\u001b[K");
        const took = Date.now() - since;
        times.push({ title, took });
        print(dim(`  (${title}: ${seconds(took)})`));
    }
}

/**
 * The last words: where the time went, and whether everything showed what it should.
 * @returns {number} the exit status
 */
export function ending() {
    heading("Where the time went");
    table([
        ["step", "seconds"],
        ...times.map(({ title, took }) => [title, (took / 1000).toFixed(1).padStart(7)]),
        ["total, set-up aside", ((Date.now() - began) / 1000).toFixed(1).padStart(7)],
    ]);
    print();
    if (failures.length === 0) verdict(true, "every step showed what it should");
    else for (const failure of failures) print(red(`  ✘ ${failure}`));
    return failures.length === 0 ? 0 : 1;
}
