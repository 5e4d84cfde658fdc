'use strict';
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Sorting: numbers before words; each click turns the order around.
  const key = (cell) => cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  const compare = (a, b) => {
    const x = key(a), y = key(b);
    if (x !== null && y !== null) return x - y;
    if (x !== null || y !== null) return 0;
    return a.textContent.localeCompare(b.textContent, 'en', { numeric: true });
  };
  const sort = (header) => {
    const row = header.parentElement, column = [...row.children].indexOf(header);
    const down = header.getAttribute('aria-sort') === 'ascending';
    for (const other of row.children) other.setAttribute('aria-sort', 'none');
    header.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const body = header.closest('table').tBodies[0];
    const rows = [...body.rows].sort((a, b) => {
      const left = a.cells[column], right = b.cells[column];
      const words = (key(left) === null) - (key(right) === null);
      return words || (down ? -1 : 1) * compare(left, right);
    });
    body.append(...rows);
  };
  for (const button of all('thead button')) {
    button.addEventListener('click', () => sort(button.parentElement));
  }

  // Filtering: rows that hold every word.
  const box = document.getElementById('filter'), count = document.getElementById('count');
  const rows = all('tbody tr').map((row) => ({ row, text: row.textContent.toLowerCase() }));
  const filter = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
  };
  box.addEventListener('input', filter);
  filter();

  // The drawer of a cell. All text goes in as text.
  const cells = new Map(JSON.parse(document.getElementById('cells-data').textContent)
    .map((cell) => [cell.key, cell]));
  const drawer = document.getElementById('drawer');
  const put = (id, text) => { document.getElementById(id).textContent = text; };
  const open = (name) => {
    const cell = cells.get(name);
    if (!cell) return;
    put('drawer-title', cell.title);
    put('drawer-status', cell.status);
    put('drawer-command', cell.command);
    put('drawer-rerun', cell.rerun);
    put('drawer-record', JSON.stringify(cell.record, null, 2));
    drawer.showModal();
    drawer.scrollTop = 0;
  };
  for (const button of all('button.cell')) {
    button.addEventListener('click', () => open(button.dataset.key));
  }
  document.getElementById('drawer-close').addEventListener('click', () => drawer.close());
  drawer.addEventListener('click', (event) => { if (event.target === drawer) drawer.close(); });
  for (const button of all('[data-copy]')) {
    button.addEventListener('click', async () => {
      const text = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = 'Copied';
        setTimeout(() => { button.textContent = 'Copy'; }, 1500);
      } catch {  // no clipboard for files in this browser: select it, so that the keyboard can
        getSelection().selectAllChildren(text);
      }
    });
  }

  // Words of the nearest mark beside the pointer.
  const reach = 22;
  const tip = document.getElementById('tip');
  for (const svg of all('figure svg')) {
    const marks = all('.mark', svg).map((mark) => {
      const title = mark.querySelector('title'), words = title.textContent;
      title.remove();  // the browser's own tooltip would come on top
      mark.setAttribute('aria-label', words);
      return { mark, words };
    });
    const show = (event) => {
      let best = null, least = reach;
      for (const { mark, words } of marks) {
        const at = mark.getBoundingClientRect();
        const x = at.left + at.width / 2, y = at.top + at.height / 2;
        const distance = Math.hypot(event.clientX - x, event.clientY - y);
        if (distance < least) { least = distance; best = { words, x, y }; }
      }
      tip.hidden = !best;
      if (!best) return;
      tip.textContent = best.words;
      const wide = tip.offsetWidth, high = tip.offsetHeight;
      const left = Math.min(Math.max(8, best.x + 14), document.documentElement.clientWidth - wide - 8);
      tip.style.left = `${left}px`;
      tip.style.top = `${best.y - high - 12 > 0 ? best.y - high - 12 : best.y + 14}px`;
    };
    svg.addEventListener('pointermove', show);
    svg.addEventListener('pointerdown', show);
    svg.addEventListener('pointerleave', () => { tip.hidden = true; });
  }
})();
