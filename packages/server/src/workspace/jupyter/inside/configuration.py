# The configuration of an environment's JupyterLab. It listens on a Unix socket that only its user opens, and lets in
# what shows the token in a header, which Berth adds on the way; a browser never has it. start.sh writes it.
import hmac
import os

try:
    from jupyter_core.paths import jupyter_config_path
    from jupyter_server.auth.identity import IdentityProvider, User
except ImportError:
    raise SystemExit("This JupyterLab is too old; version 4 is needed: pip install --upgrade jupyterlab")

c = get_config()  # noqa: F821

# What people set themselves comes first, and what is needed here wins.
for folder in reversed(jupyter_config_path()):
    if os.path.exists(os.path.join(folder, "jupyter_server_config.py")):
        try:
            load_subconfig("jupyter_server_config.py", path=folder)  # noqa: F821
        except Exception as error:
            print(f"{folder}/jupyter_server_config.py was left out: {error}")

folder = os.environ.pop("BERTH_JUPYTER_FOLDER")
os.environ.pop("TRAITLETS_APPLICATION_RAISE_CONFIG_FILE_ERROR", None)
idle_seconds = int(os.environ.pop("BERTH_JUPYTER_IDLE_MINUTES")) * 60
with open(os.path.join(folder, "token")) as file:
    token = file.read().strip()


class BerthIdentityProvider(IdentityProvider):
    """Who Berth says it is. Not a token of Jupyter's own: the page of JupyterLab would tell it to the browser."""

    auth_enabled = True
    login_available = False
    logout_available = False

    def get_user(self, handler):
        headers = handler.request.headers
        if not hmac.compare_digest(headers.get("X-Berth-Jupyter", "").encode(), token.encode()):
            return None
        return User(username=headers.get("X-Berth-Account", "") or "developer")


c.ServerApp.identity_provider_class = BerthIdentityProvider
c.IdentityProvider.token = ""
c.ServerApp.sock_mode = "0600"
c.ServerApp.certfile = ""
c.ServerApp.allow_remote_access = True
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "/gemini/code" if os.path.isdir("/gemini/code") else os.path.expanduser("~")
# Its notes on how to open it are of no use to anybody here.
c.Application.log_level = "WARN"
# A folder for rubbish on every volume would count against its size.
c.FileContentsManager.delete_to_trash = False
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
if idle_seconds > 0:
    c.MappingKernelManager.cull_idle_timeout = idle_seconds
    c.MappingKernelManager.cull_interval = min(idle_seconds, 60)
    c.TerminalManager.cull_inactive_timeout = idle_seconds
    c.TerminalManager.cull_interval = min(idle_seconds, 60)
    c.ServerApp.shutdown_no_activity_timeout = idle_seconds
