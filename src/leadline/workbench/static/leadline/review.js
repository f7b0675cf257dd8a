/* The card of a review: what a held key may show, and every key. Holds no picture beyond the look that brought it. */
"use strict";

(() => {
  const card = document.getElementById("card");
  const canvas = document.getElementById("picture");
  const form = document.getElementById("answers");
  const token = (document.querySelector("[name=csrfmiddlewaretoken]") || {}).value;
  const LENS_EVERY_MS = 120;
  const singleKeys = document.currentScript.dataset.keys !== "no"; // WCAG 2.1.4: a person can switch them off

  const post = (url, fields) =>
    fetch(url, { method: "POST", headers: { "X-CSRFToken": token }, body: new URLSearchParams(fields), keepalive: true });

  // --- the picture ---------------------------------------------------------------------------------------------------
  let look = null; // the live grant: {id, level, timer}
  let wanted = null; // what is held down, also while the grant is on its way
  let at = { x: 0.5, y: 0.5 };
  let colour = false;
  let lensDue = 0;
  let size = { w: 320, h: 320 };
  let drawn = ""; // what is to be seen just now: tile, lens, whole
  const scenes = [...document.querySelectorAll("#scenes li")]; // of a single picture there is no list
  let scene = 0;
  let blanking = null; // an end of every grant that is on its way: what is asked for after it must not be ended by it
  let round = 0; // goes up whenever everything is hidden: what was on its way then is not drawn

  const shown = document.getElementById("shown"); // a live region: what the eyes see, the ears are told, once
  const name = (which) => {
    if (!canvas) return;
    drawn = which === "hidden" ? "" : which;
    const place = scenes.length ? ` (${scenes[scene].dataset.name})` : "";
    const text = canvas.dataset[`${which}Name`] + place;
    canvas.setAttribute("aria-label", text);
    if (shown && shown.textContent !== text) shown.textContent = text;
  };
  // Of the next looks at this card; what is to be seen just now stays as it is.
  const colourButton = document.getElementById("colour");
  const toggleColour = () => {
    if (!colourButton) return;
    colour = !colour;
    colourButton.setAttribute("aria-pressed", String(colour));
    shown.textContent = colour ? colourButton.dataset.on : colourButton.dataset.off;
  };
  const clear = () => {
    if (!canvas) return;
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    name("hidden");
  };
  // Who was signed out meanwhile is led to another page, and that one arrives well.
  const arrived = (answer) => answer.ok && !answer.redirected;
  const refuse = async (answer) => {
    const box = document.getElementById("refusal");
    let text = card.dataset.signedOut;
    if (!answer.redirected) {
      try { text = (await answer.json()).error; } catch { text = String(answer.status); }
    }
    if (box) box.textContent = text;
  };

  const draw = async (answer, which, alone) => {
    const mine = round;
    const part = answer.headers.get("X-Part").split(" ").map(Number);
    const picture = await createImageBitmap(await answer.blob());
    if (mine !== round) return picture.close();
    const context = canvas.getContext("2d");
    if (alone) {
      const wide = Math.min(640, Math.max(320, picture.width));
      size = { w: wide, h: Math.round((wide * picture.height) / picture.width) };
      canvas.width = size.w;
      canvas.height = size.h;
    }
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, part[0] * canvas.width, part[1] * canvas.height, part[2] * canvas.width, part[3] * canvas.height);
    picture.close();
    name(which);
  };

  const showTile = async () => {
    if (!canvas) return;
    const mine = round;
    const which = scenes.length ? `?scene=${scenes[scene].dataset.scene}` : "";
    const answer = await fetch(card.dataset.tile + which, { cache: "no-store" });
    if (!arrived(answer)) return refuse(answer);
    if (!look && mine === round) await draw(answer, "tile", true);
  };

  const pixels = async () => {
    const mine = look;
    if (!mine || Date.now() < lensDue) return;
    lensDue = Date.now() + LENS_EVERY_MS;
    const url = card.dataset.look.replace("00000000-0000-0000-0000-000000000000", mine.id);
    const answer = await fetch(`${url}?x=${at.x.toFixed(3)}&y=${at.y.toFixed(3)}`, { cache: "no-store" });
    if (look !== mine) return;
    if (!arrived(answer)) return hide();
    await draw(answer, mine.level, false);
    if (look !== mine) clear();
  };
  const moveTo = (x, y) => {
    const inside = (share) => Math.min(1, Math.max(0, share));
    at = { x: inside(x), y: inside(y) };
    pixels();
  };

  const reveal = async (level) => {
    if (!canvas || wanted) return;
    wanted = level;
    await blanking;
    if (wanted !== level) return; // let go before it was asked for
    const fields = { asset: card.dataset.asset, level };
    if (colour) fields.colour = "1";
    if (scenes.length) fields.scene = scenes[scene].dataset.scene;
    const answer = await post(card.dataset.reveal, fields);
    if (!arrived(answer)) {
      wanted = null;
      return refuse(answer);
    }
    const told = await answer.json();
    if (wanted !== level) { // let go while it was on its way
      endLook(told.look);
      return;
    }
    look = { id: told.look, level: told.level, timer: setTimeout(hide, told.seconds * 1000) };
    lensDue = 0;
    pixels();
  };

  const endLook = (id) => post(card.dataset.look.replace("00000000-0000-0000-0000-000000000000", id) + "end/", {});
  const hide = () => {
    round += 1;
    wanted = null;
    const mine = look;
    look = null;
    clear();
    if (mine) {
      clearTimeout(mine.timer);
      endLook(mine.id);
    }
  };
  // Another frame ends the look. It is shown small where the one before it was; nothing plays by itself.
  const step = (by) => {
    const next = Math.min(scenes.length - 1, Math.max(0, scene + by));
    if (!scenes.length || next === scene) return;
    const wasTile = drawn === "tile";
    scenes[scene].removeAttribute("aria-current");
    scene = next;
    scenes[scene].setAttribute("aria-current", "true");
    hide();
    if (wasTile) showTile();
  };
  const blank = () => {
    hide();
    if (card) blanking = post(card.dataset.blank, {}).catch(() => null);
  };

  if (canvas) {
    canvas.addEventListener("pointermove", (event) => {
      if (!look || look.level !== "lens") return;
      const box = canvas.getBoundingClientRect();
      moveTo((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    });
    document.getElementById("show-tile").addEventListener("click", showTile);
    if (colourButton) colourButton.addEventListener("click", toggleColour);
    for (const [id, by] of [["scene-back", -1], ["scene-on", 1]]) {
      const button = document.getElementById(id);
      if (button) button.addEventListener("click", () => step(by));
    }
    for (const [id, level] of [["hold-lens", "lens"], ["hold-whole", "whole"]]) {
      const button = document.getElementById(id);
      if (!button) continue;
      let held = null; // where the finger lies that holds it: without keys and mouse it also moves the lens
      button.addEventListener("pointerdown", (event) => {
        held = { x: event.clientX, y: event.clientY };
        reveal(level);
      });
      button.addEventListener("pointermove", (event) => {
        if (!look || look.level !== "lens" || !held) return;
        const box = canvas.getBoundingClientRect();
        moveTo(at.x + (event.clientX - held.x) / box.width, at.y + (event.clientY - held.y) / box.height);
        held = { x: event.clientX, y: event.clientY };
      });
      button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch is no question
      for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) button.addEventListener(end, hide);
      button.addEventListener("keydown", (event) => {
        if (![" ", "Enter"].includes(event.key)) return;
        event.preventDefault();
        if (!event.repeat) reveal(level);
      });
      button.addEventListener("keyup", (event) => { if ([" ", "Enter"].includes(event.key)) hide(); });
    }
  }
  window.addEventListener("blur", hide);
  window.addEventListener("pagehide", hide);
  document.addEventListener("visibilitychange", () => { if (document.hidden) hide(); });

  // --- answers -------------------------------------------------------------------------------------------------------
  const questions = form ? [...form.querySelectorAll(".field")].filter((field) => field.querySelector("input[type=radio], input[type=checkbox]")) : [];
  let current = 0;
  const mark = (number) => {
    if (!questions.length) return;
    questions.forEach((field) => field.classList.remove("current"));
    current = Math.min(questions.length - 1, Math.max(0, number));
    questions[current].classList.add("current");
    questions[current].scrollIntoView({ block: "nearest" });
    const holder = questions[current];
    holder.tabIndex = -1; // the question has the focus, not a box of it: Space is then for looking, and native on boxes
    holder.focus({ preventScroll: true });
  };
  const pick = (number) => {
    const boxes = questions[current] ? [...questions[current].querySelectorAll("input")] : [];
    if (!boxes[number]) return;
    const isRadio = boxes[number].type === "radio";
    boxes[number].checked = isRadio ? true : !boxes[number].checked;
    boxes[number].dispatchEvent(new Event("change", { bubbles: true }));
    if (isRadio) mark(current + 1);
  };

  let saving = null;
  if (form) {
    const save = async () => {
      const answer = await post(card.dataset.draft, new FormData(form)).catch(() => null);
      const failed = answer && answer.redirected ? card.dataset.signedOut : card.dataset.unsaved;
      document.getElementById("saved").textContent = answer && arrived(answer) ? "✓" : failed;
    };
    const saveSoon = () => {
      clearTimeout(saving);
      saving = setTimeout(save, 400);
    };
    form.addEventListener("change", () => {
      hide(); // an answer hides the picture
      saveSoon();
    });
    form.addEventListener("input", saveSoon);
    form.addEventListener("submit", () => {
      clearTimeout(saving);
      hide();
    });
  }
  // By how long it can still be undone, not by when: this machine's clock may be another than the server's.
  document.querySelectorAll("form[data-left-ms]").forEach((undo) => {
    setTimeout(() => undo.parentElement.remove(), Number(undo.dataset.leftMs));
  });

  // --- keys ----------------------------------------------------------------------------------------------------------
  const isText = (node) => node.matches("textarea, select, input:not([type=radio]):not([type=checkbox])");
  const isControl = (node) => node.matches("button, summary, a, input"); // Space and Enter are its own
  const open = (id) => {
    const box = document.getElementById(id);
    if (!box) return;
    box.open = !box.open;
    const first = box.open && box.querySelector("input:not([type=hidden]), select, a");
    if (first) first.focus();
  };
  const plain = {
    j: () => mark(current + 1),
    k: () => mark(current - 1),
    t: showTile,
    ",": () => step(-1),
    ".": () => step(1),
    f: toggleColour,
    c: () => open("cluster"),
    h: () => open("hold"),
    l: () => open("law"),
    r: () => open("route"),
    n: () => { const note = form && form.querySelector("textarea"); if (note) note.focus(); },
    "?": () => { const keys = document.getElementById("keys"); if (keys) keys.showModal(); },
  };
  const arrows = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, -0.05], ArrowDown: [0, 0.05] };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return blank();
    if (document.querySelector("dialog[open]")) return;
    if (event.ctrlKey && event.key === "Enter" && form) {
      event.preventDefault();
      form.requestSubmit(form.querySelector(event.shiftKey ? "button[name=next]" : "button.hand-in"));
      return;
    }
    if (event.ctrlKey || event.altKey || event.metaKey || isText(event.target)) return;
    if (event.code === "Space" && canvas && !isControl(event.target)) {
      event.preventDefault();
      if (!event.repeat) reveal(event.shiftKey && card.dataset.whole === "yes" ? "whole" : "lens");
      return;
    }
    if (look && arrows[event.key]) {
      event.preventDefault();
      moveTo(at.x + arrows[event.key][0], at.y + arrows[event.key][1]);
      return;
    }
    if (!singleKeys && event.key.length === 1) return;
    if (/^[1-9]$/.test(event.key) && questions.length) return pick(Number(event.key) - 1);
    if (event.key === "Enter" && isControl(event.target)) return;
    const button = document.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
    if (button) {
      event.preventDefault();
      button.click();
    } else if (plain[event.key]) {
      event.preventDefault();
      plain[event.key]();
    }
  });
  document.addEventListener("keyup", (event) => { if (event.code === "Space" && (look || wanted)) hide(); });

  if (form) mark(0);
})();
