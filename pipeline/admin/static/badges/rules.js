/* The rules editor: the key paths follow the event type, the operators follow the key path, and the value's field follows
 * both.  The page works without this: it then offers everything, and the server checks what was chosen. */
"use strict";

(() => {
    const TRUE_WORDS = ["true", "True", "yes", "Yes", "+"];
    const FALSE_WORDS = ["false", "False", "no", "No", "-"];

    document.addEventListener("DOMContentLoaded", () => {
        const data = document.getElementById("rules-editor");
        const eventType = document.querySelector("select[data-event-type]");
        if (data && eventType) {
            start(JSON.parse(data.textContent), eventType);
        }
    });

    function start(known, eventType) {
        const { types, words } = known;
        const all = (selector) => document.querySelectorAll(selector);

        const followEventType = () => {
            const chosen = types[eventType.value];
            const paths = chosen ? chosen.paths : {};
            showMeaning(chosen, eventType.value);
            all("select[data-rule-path]").forEach((select) => {
                offerPaths(select, paths, words.choose, words.foreign);
                followPath(select);
            });
            all("select[data-distinct-path]").forEach((select) => {
                offerPaths(select, paths, words.any, words.foreign);
            });
        };
        const followPath = (select) => {
            const chosen = types[eventType.value];
            const type = chosen ? chosen.paths[select.value] : undefined;
            const row = select.closest("tr");
            offerOperators(row.querySelector("select[data-rule-operator]"), type, known);
            offerValue(row, type, words);
        };

        eventType.addEventListener("change", followEventType);
        // On the document, so that rows added later need nothing more.
        document.addEventListener("change", (event) => {
            if (event.target.matches("select[data-rule-path], select[data-rule-operator]")) {
                followPath(event.target.closest("tr").querySelector("select[data-rule-path]"));
            }
        });
        followEventType();
    }

    function showMeaning(type, name) {
        const place = document.getElementById("event-type-meaning");
        const small = document.createElement("span");
        small.className = "block text-xs text-base-500 break-words";
        small.textContent = name;
        place.replaceChildren(type ? type.meaning : "", small);
    }

    /* A path that was chosen before and is not in this event type stays, and says so; the server refuses it in words. */
    function offerPaths(select, paths, empty, foreign) {
        const chosen = select.value;
        const options = [new Option(empty, "")];
        for (const [path, type] of Object.entries(paths)) {
            options.push(new Option(`${path} (${type})`, path));
        }
        if (chosen && !(chosen in paths)) {
            options.push(new Option(`${chosen} (${foreign})`, chosen));
        }
        select.replaceChildren(...options);
        select.value = chosen;
    }

    /* So does an operator. */
    function offerOperators(select, type, { operators, labels, words }) {
        const chosen = select.value;
        const offered = operators[type] || Object.keys(labels);
        const options = offered.map((operator) => new Option(labels[operator], operator));
        if (!offered.includes(chosen)) {
            options.push(new Option(`${labels[chosen] || chosen} (${words.unfit})`, chosen));
        }
        select.replaceChildren(...options);
        select.value = chosen;
    }

    function offerValue(row, type, words) {
        const input = row.querySelector("textarea[data-rule-value]");
        const choice = row.querySelector("select[data-rule-choice]");
        const asksWhetherThere = row.querySelector("select[data-rule-operator]").value === "exists";
        if (asksWhetherThere || type === "boolean") {
            input.value = spelled(input.value);
            input.hidden = true;
            const labels = asksWhetherThere ? [words.there, words.missing] : [words.true, words.false];
            offerChoice(choice || newChoice(row, input, words), input.value, labels, words);
            return;
        }
        if (choice) {
            choice.closest("[data-rule-choice-box]").remove();
            input.value = "";
        }
        input.hidden = false;
    }

    function offerChoice(choice, value, [whenTrue, whenFalse], words) {
        choice.replaceChildren(
            new Option(words.choose, ""),
            new Option(whenTrue, "true"),
            new Option(whenFalse, "false"),
        );
        choice.value = value;
    }

    function spelled(text) {
        return TRUE_WORDS.includes(text) ? "true" : FALSE_WORDS.includes(text) ? "false" : "";
    }

    /* True or false, looking like the operator beside it; the text, hidden meanwhile, is what is sent. */
    function newChoice(row, input, words) {
        const box = row.querySelector("select[data-rule-operator]").parentElement.cloneNode(true);
        const choice = box.querySelector("select");
        box.dataset.ruleChoiceBox = "";
        choice.removeAttribute("name");
        choice.removeAttribute("id");
        choice.removeAttribute("data-rule-operator");
        choice.dataset.ruleChoice = "";
        choice.setAttribute("aria-label", words.value);
        choice.addEventListener("change", () => {
            input.value = choice.value;
        });
        input.after(box);
        return choice;
    }
})();
