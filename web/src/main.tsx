import './style/base.css';
import './style/chat.css';
import './style/panels.css';
import { render } from 'preact';
import { App } from './ui/App';
import { boot, lookAgain, route } from './actions';
import { fail } from './notices';

addEventListener('hashchange', () => { route().catch(fail); });
document.addEventListener('visibilitychange', lookAgain);
render(<App />, document.getElementById('app')!);
void boot();
