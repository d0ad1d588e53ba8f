import { readFileSync } from "node:fs";

/** The two package lists are plain files, so that a shell or a CI recipe can use them too. @param {"machine" | "guest"} list */
export function packages(list) {
    const text = readFileSync(new URL(`packages/${list}.txt`, import.meta.url), "utf8");
    return text
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line && !line.startsWith("#"));
}
