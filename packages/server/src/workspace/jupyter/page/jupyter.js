// Asks how the start gets on, shows it, and goes on when it is ready or has failed. The seconds count here.
const { state: address, words } = JSON.parse(document.getElementById('data').textContent);
const message = document.getElementById('message');
const seconds = document.getElementById('seconds');
const began = Date.now();
let offset = 0;
let misses = 0;

setInterval(() => {
  const passed = Math.max(0, Math.floor((Date.now() - began) / 1000) + offset);
  seconds.textContent = words.seconds.replace('{seconds}', passed);
}, 250);

async function ask() {
  try {
    const answer = await fetch(address, { cache: 'no-store' });
    const told = await answer.json();
    misses = 0;
    // What came of it is said by the page itself.
    if (told.state !== 'starting') return void location.reload();
    offset = told.seconds - Math.floor((Date.now() - began) / 1000);
    // Said once by a screen reader, not at each look.
    if (told.message && message.textContent !== told.message) message.textContent = told.message;
  } catch {
    misses += 1;
    if (misses > 20) {
      message.textContent = words.tooLong;
      return;
    }
  }
  setTimeout(ask, 500);
}
void ask();
