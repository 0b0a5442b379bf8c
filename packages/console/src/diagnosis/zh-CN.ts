/**
 * What a diagnosis finds, in Chinese, by the codes and with the holes of the contract's catalogues (findings.ts and
 * explain/client-findings.ts). Loaded when somebody who reads Chinese asks for a diagnosis.
 */
import type { ClientFindingCode } from '@berth/contract/explain';
import type { DiagnosisCheck, FindingCode } from '@berth/contract/findings';

export interface Words {
  cause: string;
  /** null: nothing is to be done. */
  cure: string | null;
}

const only = (cause: string): Words => ({ cause, cure: null });
const both = (cause: string, cure: string): Words => ({ cause, cure });

export const checks: Record<DiagnosisCheck, string> = {
  runtime: '容器引擎',
  image: '镜像',
  quota: '客户配额',
  datasets: '数据集',
  room: '机器剩余资源',
  state: '期望状态与实际状态',
  container: '容器',
  memory: '内存',
  disk: '磁盘',
  sshd: '容器内的 sshd',
  host_key: 'sshd 出示的主机密钥',
  login: 'Berth 自身的登录',
  clock: '时钟',
  gateway: '网关',
  own_port: '独立端口',
  shared_port: '共享端口',
  name: 'ssh 命令中的主机名',
  firewall: '机器防火墙',
  allowlist: '白名单',
  ban: '封禁',
  lockout: '锁定',
  password: '密码',
  key: '可用的密钥',
  attempts: '最近的登录尝试',
};

export const findings: Record<FindingCode, Words> = {
  look_timed_out: both('{seconds} 秒内没有得到结果。', '请重试；如果一直如此，说明被检查的对象卡住了。'),
  look_failed: both('无法检查：{reason}', '请重试，并查看 Berth 的日志。'),
  engine_silent: only('容器引擎没有响应，无法检查。'),
  nothing_runs: only('容器没有运行，无从检查。'),
  cannot_look_inside: both('看不到容器内部：{reason}', '重启环境：berth restart {environment}'),
  source_unknown: only('不知道用户从哪个地址连接；请用 --source 或在上方填写地址。'),

  runtime_answers: only('{runtime} 响应正常。'),
  runtime_away: both('{reason}', '{what_to_do}'),

  image_there: only('{image}（{reference}）就在这台机器上。'),
  image_missing: both(
    '{image}（{reference}）不在这台机器上，下次启动需要先拉取。',
    '确认能否拉取：docker pull {reference}。否则请在目录中改正镜像地址：berth images set {image}',
  ),
  image_not_in_catalogue: both(
    '{image} 已不在镜像目录中，环境无法再次启动。',
    '重新加入镜像：berth images add {image} REFERENCE',
  ),

  quota_fits: only('配额足够。'),
  quota_reached: both(
    '已达到配额上限 {limit} {unit}（{resource}）：其他环境占用 {used}，本环境需要 {asked}，因此无法启动。',
    '停止或删除其他环境，减少本环境的资源，或请管理员提高上限。',
  ),

  no_datasets: only('没有挂载数据集。'),
  datasets_there: only('{datasets} 都在原位。'),
  dataset_missing: both('{reason}', '{what_to_do}'),

  room_there: only(
    '机器还剩 {disk_free_gib} GiB 磁盘、{memory_free_gib} GiB 内存，{cores} 个核的负载为 {load}。',
  ),
  room_enough: only('资源充足。'),
  disk_full_on_machine: both(
    '机器的磁盘（{place}）已满，只剩 {disk_free_mib} MiB。',
    '释放空间（"docker system df" 可查看引擎占用），然后重新启动：berth start {environment}',
  ),
  inodes_used_up_on_machine: both(
    '机器的磁盘（{place}）无法再建文件，只剩 {inodes_free} 个 inode。',
    '删除没用的文件（"docker system prune"），然后重新启动：berth start {environment}',
  ),
  memory_used_up_on_machine: both(
    '机器只剩 {memory_free_mib} MiB 内存。',
    '停止一些环境或程序，或给机器增加内存。',
  ),
  processors_overloaded: both(
    '机器负载高达 {load}，而只有 {cores} 个核，所有操作都会变慢。',
    '停止一些环境或程序，或降低它们的资源上限。',
  ),

  it_runs: only('应当运行，也确实在运行。'),
  stopped_until_login: only('已停止，登录时会自动启动。'),
  stopped_a_moment_ago: both(
    '刚刚被停止：在 {until} 之前，不带终端的登录（例如编辑器自动重连）不会启动它。',
    '手动启动：berth start {environment}',
  ),
  stopped_and_stays: both(
    '已停止，登录不会启动它。',
    '手动启动：berth start {environment}。若要登录时自动启动：berth set {environment} --wake on',
  ),
  stopped_and_direct: both(
    '已停止；它的独立端口直通容器，停止期间没有程序监听。',
    '手动启动：berth start {environment}',
  ),
  under_way: both(
    '处于 {status} 状态已有 {seconds} 秒：{step}。',
    '请稍候；可以跟踪进度：berth events {environment} --follow',
  ),
  start_failed: both('上次启动失败（{failure}）：{reason}', '{what_to_do}'),
  start_fails: both('启动失败（{failure}）：{reason}', '{what_to_do}'),

  container_runs: only('正在运行。'),
  container_missing: both(
    '容器已经不存在了。',
    '重新启动：berth restart {environment}；如被拒绝，则用 berth start {environment}。',
  ),
  container_ended: both(
    '容器以退出码 {exit_code} 结束。日志末尾：{log}',
    '查看日志（berth logs {environment}），然后重新启动：berth start {environment}',
  ),
  container_out_of_memory: both(
    '容器用尽了 {memory_gib} GiB 内存，被系统终止。日志末尾：{log}',
    '增加内存：berth set {environment} --memory MORE，然后 berth start {environment}',
  ),
  container_restarts: both(
    '容器反复退出（已重启 {restarts} 次），最近一次的退出码为 {exit_code}。日志末尾：{log}',
    '查看日志（berth logs {environment}），并检查镜像是否可用作环境：berth images check {image}',
  ),

  memory_left: only('已用 {used_mib} MiB，共 {limit_mib} MiB。'),
  memory_unlimited: only('已用 {used_mib} MiB，容器没有上限。'),
  memory_ran_out: both(
    '启动以来，因 {limit_mib} MiB 内存用尽，已有 {kills} 个程序被终止；其中可能有 SSH 会话或编辑器。',
    '增加内存：berth set {environment} --memory MORE，然后 berth restart {environment}',
  ),
  memory_nearly_used_up: both(
    '{limit_mib} MiB 内存已用 {used_mib} MiB，新的会话可能失败。',
    '结束一些程序，或增加内存：berth set {environment} --memory MORE，然后 berth restart {environment}',
  ),

  disk_left: only('每个目录都有空间；最少的是 {place}，还有 {free_mib} MiB。'),
  disk_full: both(
    '{place} 已满，只剩 {free_mib} MiB。需要在那里写文件的登录和编辑器会失败。',
    '删除不需要的文件，或申请更多存储。',
  ),
  inodes_used_up: both(
    '{place} 无法再建文件：虽有 {free_mib} MiB，但只剩 {inodes_free} 个 inode。',
    '删除那里的文件，例如旧缓存和包含大量小文件的软件包。',
  ),

  sshd_answers: only('响应正常，版本为 {software}。'),
  sshd_not_listening: both(
    '本该由 sshd 监听的端口上没有程序。',
    '查看日志（berth logs {environment}），然后重启：berth restart {environment}',
  ),
  sshd_silent: both(
    '接受连接却一言不发：可能卡住了，或缺少处理器时间或内存。',
    '重启：berth restart {environment}',
  ),
  sshd_closes: both(
    '在出示密钥之前就断开了连接：{reason}',
    '查看日志（berth logs {environment}），然后重启：berth restart {environment}',
  ),
  sshd_is_no_ssh: both(
    '本该是 sshd 的端口上，响应的程序不讲 SSH 协议：{reason}',
    '结束占用该端口的程序，然后重启：berth restart {environment}',
  ),
  sshd_unreachable: both(
    '从 Berth 到容器没有通路：{reason}',
    '检查容器引擎中环境所用的网络，然后重启：berth restart {environment}',
  ),

  host_key_right: only('正是 Berth 生成的那一把（{fingerprint}）。'),
  host_key_changed: both(
    'sshd 出示的是 {shown}，而 Berth 生成的是 {fingerprint}：有人在容器内换了密钥，或那里响应的是别的程序。',
    '重启即可恢复原来的密钥：berth restart {environment}',
  ),
  host_key_not_shown: only('sshd 还没走到出示密钥这一步。'),

  login_works: only('正常：网关可以登录。'),
  login_refused: both(
    'sshd 不让 Berth 自身登录，因此网关也无法放任何人进入：{reason}',
    '可能有人改动了 sshd 或它信任的文件。请重启：berth restart {environment}',
  ),
  login_not_reached: only('还没走到这一步。'),
  login_not_tried: only('直通模式下由用户自己登录，Berth 不登录。'),

  clocks_agree: only('相差 {skew_seconds} 秒。'),
  clocks_differ: both(
    '所在机器的时钟与 Berth 相差 {skew_seconds} 秒，而 Berth 签发的证书只有几分钟有效期。',
    '用 NTP 校准两边的时钟：sudo timedatectl set-ntp true',
  ),

  gateway_serves: only('有 {gateways} 个网关进程在服务。'),
  gateway_away: both(
    '没有网关在运行，任何人都无法通过 SSH 进入。',
    '启动网关："berth up" 同时启动服务端与网关，"berth gateway" 只启动网关。然后查看它的日志。',
  ),
  gateway_not_needed: only('唯一的入口不经过网关。'),

  own_port_answers: only('端口 {port} 响应正常，主机密钥也对。'),
  own_port_open: only('端口 {port} 已打开。'),
  own_port_sleeps: only('端口 {port} 直通容器，而容器没有运行。'),
  no_own_port: only('没有独立端口，走共享端口。'),
  no_way_in: both(
    '既没有独立端口，也没有共享端口，没有任何入口。',
    '分配一个端口：berth stop {environment}，再 berth start {environment}；或设置 sharedPort。',
  ),
  own_port_moved: both(
    '独立端口自 {since} 起改为 {port}；原来的 {old_port} 被别的程序占用。还没有人用新端口登录过。',
    '改用新端口：berth ssh-info {environment}。如果用过 "berth config-ssh"，请再运行一次。',
  ),
  own_port_closed: both(
    '端口 {port} 上没有程序监听。',
    '如果网关刚启动，请稍候。否则查看网关日志，并确认独立端口是否提供服务：berth show {environment}',
  ),
  own_port_silent: both(
    '端口 {port} 能连上或者丢包，但没有任何回应：{reason}',
    '检查网关是否卡住，以及机器上的防火墙是否丢弃了到该端口的连接。',
  ),
  own_port_refuses: both(
    '网关断开了来自本机的连接（端口 {port}），无法判断它是否对其他人提供服务：{reason}',
    '检查本机是否被封禁：berth bans list',
  ),
  port_taken: both(
    '端口 {port} 被机器上的其他程序占用。',
    '请机器管理员释放该端口。重启环境可能会换一个端口：berth restart {environment}',
  ),
  port_taken_by_program: both(
    '端口 {port} 被机器上的其他程序占用：{program}（进程 {process}）。',
    '结束该程序，或让它改用别的端口；不要让其他程序使用 portRange 内的端口。',
  ),
  port_taken_by_container: both(
    '端口 {port} 被容器 {container} 占用。',
    '停止该容器，或改用别的端口发布；不要让其他程序使用 portRange 内的端口。',
  ),
  port_taken_by_environment: both(
    '端口 {port} 被另一个环境占用。',
    '重启本环境会换一个端口：berth restart {environment}',
  ),
  port_taken_by_named_environment: both(
    '端口 {port} 被环境 {other} 占用。',
    '重启其中一个：berth restart {environment}',
  ),

  no_shared_port: only('没有共享端口。'),
  shared_port_answers: only('端口 {port} 响应正常，网关的主机密钥也对。'),
  shared_port_open: only('端口 {port} 已打开。'),
  shared_port_closed: both(
    '共享端口 {port} 上没有程序监听。',
    '检查网关是否运行、日志里有什么；暂时改用独立端口。',
  ),
  shared_port_silent: both(
    '共享端口 {port} 能连上或者丢包，但没有任何回应：{reason}',
    '检查网关是否卡住；暂时改用独立端口。',
  ),
  shared_port_refuses: both(
    '网关断开了来自本机的连接（共享端口 {port}），无法判断它是否对其他人提供服务：{reason}',
    '检查本机是否被封禁：berth bans list',
  ),
  shared_port_taken: both(
    '共享端口 {port} 被机器上的其他程序占用。',
    '请机器管理员释放该端口；暂时改用独立端口。',
  ),
  shared_port_taken_by_program: both(
    '共享端口 {port} 被机器上的其他程序占用：{program}（进程 {process}）。',
    '结束该程序，或让它改用别的端口，或另选 sharedPort。',
  ),
  shared_port_taken_by_container: both(
    '共享端口 {port} 被容器 {container} 占用。',
    '停止该容器，或改用别的端口发布，或另选 sharedPort。',
  ),

  name_points_here: only('{host} 指向这里（{addresses}）。'),
  name_has_no_address: both('{host} 没有解析到地址。', '在 DNS 中添加该名称，或改正 sshHost。'),
  name_points_elsewhere: both(
    '{host} 解析为 {addresses}，不是这台机器的地址，那里响应的也不是这个 Berth。',
    '改正 DNS 或 sshHost。如果那个地址上是负载均衡，请让它把端口转到这里，并设置 publicUrl。',
  ),
  name_server_silent: both(
    '机器的域名服务器没有响应，不知道 {host} 指向哪里。',
    '检查 /etc/resolv.conf 中的域名服务器。',
  ),

  firewall_lets_through: only('允许 {source} 访问端口 {port}。'),
  firewall_drops: both(
    '拦住了 {source} 到端口 {port} 的连接：表 {table}，链 {chain}。',
    '放行该地址：如果这张表由 "berth firewall apply" 建立，就用 --source 写上它所在的网络；否则修改相应规则。',
  ),
  firewall_unclear: both(
    '从规则无法判断 {source} 能否访问端口 {port}（表 {table}，链 {chain}）。',
    '请在那个地址上试一试：nc -vz HOST {port}',
  ),
  firewall_without_port: only('没有会被它拦住的端口。'),
  firewall_not_looked_at: only('这里读不到防火墙规则：{reason}'),

  allowlist_empty: only('白名单为空，任何地址都可以进入。'),
  allowlist_covers: only('{source} 在 {network} 之内。'),
  allowlist_leaves_out: both(
    '白名单共有 {entries} 个网络，{source} 都不在其中，因此被拒绝。',
    '加入该地址：berth allowlist add {source} --environment {environment}',
  ),

  not_banned: only('{source} 没有被封禁。'),
  banned: both(
    '因登录失败次数过多，{until} 之前不接受来自 {source} 的任何连接。',
    '等到那时，或请管理员解除：berth bans clear --source {source}',
  ),

  not_locked_out: only('{source} 没有被锁定；已计 {failures} 次失败，上限 {most} 次。'),
  locked_out: both(
    '登录失败 {failures} 次后，{source} 被锁定到 {until}。',
    '等到那时，或解除锁定：berth lockouts clear {lockout}。之后请用正确的密码（berth ssh-info {environment}）或密钥登录。',
  ),

  password_right: only('由网关与 Berth 显示的密码比对；该密码设于 {changed_at}。'),
  password_in_step: only('容器里的密码与 Berth 显示的一致；该密码设于 {changed_at}。'),
  password_off: only('本环境已关闭密码登录，只能用密钥。'),
  password_off_for_customer: only('该客户已关闭密码登录，只能用密钥。'),
  password_out_of_step: both(
    '容器里的密码与 Berth 显示的不一致：有人在容器内改过。',
    '设置新密码，由 Berth 同步进容器：berth reset-password {environment}',
  ),
  password_expired_inside: both(
    '容器内的账号已过期（{which}），密码不再有效。',
    '在容器内以 root 执行：chage -E -1 -M -1 -I -1 {user}。或重建：berth restart {environment}',
  ),
  password_not_known: both(
    '读不到容器里的密码信息。',
    '设置新密码，由 Berth 同步进容器：berth reset-password {environment}',
  ),

  keys_known: only('有 {count} 把密钥可用：{keys}'),
  only_passwords: only('没有可用的密钥，只能用密码。'),
  authorities_known: only('可以使用由 {authorities} 签发的用户证书。'),
  no_way_to_prove: both(
    '没有任何登录凭据：密码登录已关闭，客户既没有密钥也没有证书颁发机构。',
    '添加密钥：berth keys add NAME ~/.ssh/id_ed25519.pub。或打开密码登录：berth set {environment} --password-login on',
  ),
  key_opens: only('{fingerprint} 可用：{account} 的密钥 {key}。'),
  key_unknown: both(
    '{fingerprint} 不是该客户的密钥，在这里不能登录。可用的密钥：{keys}',
    '添加它：berth keys add NAME FILE.pub。或改用上述密钥：ssh -i FILE -o IdentitiesOnly=yes',
  ),
  key_of_other_customer: both(
    '{fingerprint} 是另一个客户 {customer} 的密钥，在这里不能登录。可用的密钥：{keys}',
    '改用本客户账号的密钥，或也在这里添加它：berth keys add NAME FILE.pub',
  ),
  key_revoked: both(
    '{fingerprint} 在该客户的吊销列表中。',
    '换一把密钥，或从列表中移除：berth revocations set FILE',
  ),
  key_not_inside: both(
    'Berth 认为 {fingerprint} 可用，但容器里没有它。',
    '重启即可把密钥同步进去：berth restart {environment}',
  ),
  key_files_open_to_others: both(
    '容器里 {file} 的权限是 {mode}，属主是用户 {owner}：别人可写的文件，sshd 不会读取其中的密钥。',
    '重启会重写该文件：berth restart {environment}。如果是目录权限过宽：chmod go-w FOLDER',
  ),
  certificate_opens: only('证书可用：{key_id}，由 {authority} 签发。'),
  certificate_expired: both('证书已过期：{reason}', '重新签发，并检查签发方的时钟。'),
  certificate_not_yet_valid: both('证书尚未生效：{reason}', '检查时钟：签发方的时钟偏快。'),
  certificate_for_others: both(
    '证书的主体是 {principals}；这里必须是 {names} 之一。',
    '请为其中一个名称重新签发（ssh-keygen -n）。',
  ),
  certificate_of_unknown_authority: both(
    '证书由 {authority} 签发，该客户不信任它。',
    '添加这个证书颁发机构：berth authorities add NAME FILE.pub',
  ),
  certificate_revoked: both(
    '证书 {key_id} 已被吊销。',
    '重新签发，或从吊销列表中移除：berth revocations set FILE',
  ),
  certificate_not_from_here: both(
    '该证书只能从 {source} 以外的地址使用。',
    '从允许的地址连接，或签发时不带 source-address。',
  ),
  certificate_direct: both(
    '用户证书只适用于网关后面的环境；本环境的独立端口直通它自己的 sshd。',
    '改用密钥、密码或共享端口，或改为经过网关：berth set {environment} --exposure gateway',
  ),
  certificate_unreadable: both('这不是用户证书：{reason}', '请提供 ...-cert.pub 文件。'),

  no_refusals: only('最近没有拒绝过来自 {source} 的登录。'),
  wrong_password_lately: both(
    '最近一小时来自 {source} 的 {count} 次登录密码错误，最近一次在 {at}。当前密码设于 {changed_at}。',
    '使用 Berth 显示的密码：berth ssh-info {environment}',
  ),
  password_off_lately: both(
    '最近一小时来自 {source} 的 {count} 次登录使用了密码，最近一次在 {at}，而密码登录已关闭。',
    '用密钥登录，或打开密码登录：berth set {environment} --password-login on',
  ),
  wrong_key_lately: both(
    '最近一小时来自 {source} 的 {count} 次登录出示的密钥不可用，最近一次在 {at}。可用的密钥：{keys}',
    '添加该密钥：berth keys add NAME FILE.pub。或只出示正确的那把：ssh -i FILE -o IdentitiesOnly=yes',
  ),
  wrong_certificate_lately: both(
    '最近一小时来自 {source} 的 {count} 次登录出示的证书不可用，最近一次在 {at}。',
    '查看原因：berth diagnose {environment} --key FILE-cert.pub',
  ),
  wrong_user_lately: both(
    '最近一小时来自 {source} 的 {count} 次登录使用了用户名 {user}，最近一次在 {at}；独立端口上的用户名是 {right_user}。',
    '使用正确的用户名：berth ssh-info {environment}',
  ),
  flood_lately: both(
    '最近一小时来自 {source} 的 {count} 个连接未经处理就被关闭，最近一次在 {at}：同时有太多尚未登录的连接。',
    '让反复重连的程序多等一会儿，或复用同一个连接（ControlMaster）。',
  ),
  refused_lately: both(
    '最近一小时来自 {source} 的 {count} 次登录被拒绝（{refusal}），最近一次在 {at}。',
    '参考这里的其他结果；审计日志里有每一次的记录：berth audit list --target {environment}',
  ),
};

export const clientFindings: Record<ClientFindingCode, Words> = {
  berth_locked: both(
    '登录失败次数过多，Berth 已锁定 {source}，直到 {until}。',
    '等到那时，或解除锁定：berth lockouts clear --source {source}。之后请使用正确的密码或密钥。',
  ),
  berth_banned: both(
    '登录失败次数过多，{until} 之前 Berth 不接受来自 {source} 的任何连接。',
    '等到那时，或请管理员解除：berth bans clear --source {source}',
  ),
  berth_not_allowed: both(
    '{source} 不在该环境的白名单中。',
    '加入该地址：berth allowlist add {source}。或从白名单内的网络连接。',
  ),
  berth_stopped: both(
    '环境 {environment} 处于 {status} 状态，登录不会启动它。',
    '手动启动：berth start {environment}',
  ),
  berth_stopped_a_moment_ago: both(
    '环境 {environment} 刚刚被停止：在 {until} 之前，只有带终端的登录才会启动它。',
    '手动启动：berth start {environment}。或带终端登录：ssh -t',
  ),
  berth_failed: both('环境 {environment} 启动失败。', '查看原因：berth diagnose {environment}'),
  berth_deleted: both('环境 {environment} 已被删除，或正在删除。', '新建一个：berth create NAME'),
  berth_over_quota: both('本应启动该环境，但客户配额不足：{reason}', '停止其他环境，或请管理员提高上限。'),
  berth_away: both(
    'Berth 服务端不在线，网关不再放新连接进入。',
    '稍后再试。如果一直如此，请检查服务端是否运行：berth status',
  ),
  berth_not_answering: both(
    '登录信息正确，但环境 {environment} 没有响应网关。',
    '查看原因：berth diagnose {environment}',
  ),
  berth_forwarding_off: both(
    '{environment} 关闭了 {what}。',
    '连同其他需要的一起打开：berth set {environment} --forwarding local,remote,agent,x11,sftp',
  ),
  berth_touch: both('安全密钥没有被触碰，或没有解锁。', '闪烁时请触碰它，或输入 PIN。'),
  berth_certificate_without: both(
    '所用证书不允许这个操作：{reason}',
    '签发允许该操作的证书，或改用密钥登录。',
  ),
  berth_too_slow: both(
    '{seconds} 秒内没有人登录，连接被关闭。',
    '请更快地输入密码或解锁密钥。放进代理的密钥无需输入。',
  ),
  berth_too_many_at_once: both(
    '同时有太多尚未登录的连接。',
    '让反复重连的程序多等一会儿，或复用同一个连接（ControlMaster）。',
  ),
  berth_restarts: both('网关重启，连接随之断开。', '重新连接即可。'),

  port_22: both('客户端连的是 {host} 的 22 端口，那里没有环境。', '请指定端口：{command}'),
  wrong_user: both('客户端使用的用户名是 {user}，而那里的用户名是 {right_user}。', '请使用：{command}'),
  unknown_port: both('您的环境中没有使用端口 {port} 的；端口可能已经变了。', '查看地址：berth ssh-info NAME'),

  config_unusable: both(
    '客户端的配置文件无法使用：{reason}',
    '请修正该文件；如果别人可写：chmod 600 ~/.ssh/config',
  ),
  key_file_open_to_others: both(
    '密钥文件 {file} 可被他人读取（{mode}），客户端拒绝使用。',
    'chmod 600 {file}',
  ),
  key_file_unusable: both(
    '密钥文件 {file} 无法使用：{reason}',
    '确认它是本客户端的私钥且完整（PuTTY 用 .ppk，OpenSSH 用自己的格式）。',
  ),
  key_file_missing: both(
    '密钥文件 {file} 不存在。',
    '指定存在的文件（ssh -i FILE），或新建一把：ssh-keygen -t ed25519',
  ),
  passphrase_wrong: both('密钥 {file} 的口令不对。', '重新输入，或把密钥放进代理：ssh-add {file}'),
  key_not_unlocked: both(
    '服务器接受密钥 {file}，但客户端没能用它签名：没有提供口令。',
    '先放进代理：ssh-add {file}。或在能输入口令的终端中连接。',
  ),
  agent_refused: both(
    'SSH 代理没有用密钥 {key} 签名：代理被锁定、未经确认，或已丢失该密钥。',
    '解锁代理（ssh-add -X），确认提示，或重新添加密钥：ssh-add FILE',
  ),
  agent_away: both(
    '没有可用的 SSH 代理。',
    '启动代理：eval "$(ssh-agent)" && ssh-add。或直接指定密钥文件：ssh -i FILE',
  ),

  name_not_found: both(
    '主机名 {host} 没有解析到地址。',
    '检查是否输错：berth ssh-info 会显示正确的名称。使用 VPN 时可能需要它的 DNS。',
  ),
  no_name_server: both(
    '域名服务器没有响应对 {host} 的查询。',
    '检查本机是否联网，是否需要先连 VPN，然后重试。',
  ),
  timed_out: both(
    '{host} 的端口 {port} 没有任何响应：数据包在途中丢失或被丢弃。',
    '核对地址和端口（berth ssh-info）。本机、途中或 Berth 机器上的防火墙都可能丢弃连接；独立端口直通容器时，白名单也会：berth diagnose NAME --source YOUR-ADDRESS',
  ),
  no_route: both('从这里到不了 {host}（{reason}）。', '检查本机是否联网，是否需要先连 VPN。'),
  refused: both(
    '机器 {host} 在线，但端口 {port} 上没有程序监听。',
    '核对端口（berth ssh-info 会显示）。否则可能是环境已停止，或网关没有运行：berth diagnose NAME',
  ),
  silent: both(
    '已连上 {host} 的端口 {port}，但对方一言不发：监听的程序卡住了，或途中有设备代为接受了连接。',
    '重试；再看 sshd 或网关是否卡住：berth diagnose NAME',
  ),
  not_ssh: both('端口 {port} 上的程序不讲 SSH 协议；它说：{said}', '使用正确的端口：berth ssh-info 会显示。'),
  closed_unheard: both(
    '还没说一句话，连接就被关闭了。',
    '地址可能被封禁，或同时连接过多；也可能途中的代理后面没有服务器。查看：berth diagnose NAME --source YOUR-ADDRESS',
  ),

  host_key_differs: both(
    '{place} 的主机密钥与本机记住的不同。该地址现在可能属于另一个环境，也可能有人在中间冒充。',
    '把指纹 {fingerprint} 与 "berth ssh-info" 显示的比对。一致的话，删除旧记录：{command}',
  ),
  host_key_not_known: both(
    '本机不认识 {place} 的主机密钥，而客户端被要求不得询问。',
    '把 "berth known-hosts NAME" 的输出加进 ~/.ssh/known_hosts，或先手动连接一次并核对指纹。',
  ),

  no_common_host_key: both(
    '客户端不接受服务器的任何一种主机密钥：{offer}',
    '使用更新的客户端，或从配置中去掉 HostKeyAlgorithms。',
  ),
  no_common_key_exchange: both(
    '客户端不支持服务器接受的任何密钥交换算法：{offer}',
    '使用更新的客户端，或从配置中去掉 KexAlgorithms。',
  ),
  no_common_cipher: both(
    '客户端不支持服务器接受的任何加密算法：{offer}',
    '使用更新的客户端，或从配置中去掉 Ciphers。',
  ),
  no_common_mac: both(
    '客户端不支持服务器接受的任何 MAC 算法：{offer}',
    '使用更新的客户端，或从配置中去掉 MACs。',
  ),

  too_many_keys: both(
    '客户端接连出示了 {count} 把密钥，还没轮到正确的那把，服务器就断开了。',
    '只出示正确的那把：ssh -i FILE -o IdentitiesOnly=yes。或清空代理中的密钥：ssh-add -D',
  ),
  too_many_failures: both('失败次数过多，服务器断开了连接。', '检查密码和密钥：berth ssh-info'),
  password_refused: both('密码不对。', '使用 "berth ssh-info" 显示的密码。输错五次会把地址锁定一段时间。'),
  keys_refused: both(
    '客户端出示的密钥都不可用：{keys}',
    '添加其中一把：berth keys add NAME FILE.pub。或出示已登记的密钥：ssh -i FILE -o IdentitiesOnly=yes',
  ),
  no_key_offered: both(
    '服务器只接受密钥（{methods}），而客户端没有可出示的。',
    '生成一把（ssh-keygen -t ed25519）并添加：berth keys add NAME ~/.ssh/id_ed25519.pub。或打开密码登录：berth set NAME --password-login on',
  ),
  password_not_typed: both(
    '客户端没有可用的密钥，也没有人输入密码。',
    '在能输入密码的终端中连接，或使用密钥。',
  ),
  permission_denied: both(
    '服务器没有接受任何尝试；它支持 {methods}。',
    '查看什么可以登录：berth diagnose NAME。要看客户端尝试了什么：ssh -v',
  ),

  forwarding_refused: both('服务器不转发这个：{reason}', '查看环境允许转发什么：berth show NAME'),
  forwarding_unanswered: both(
    '转发的目标在容器内没有程序监听：{reason}',
    '先在环境中启动该程序，监听 127.0.0.1 的那个端口。',
  ),
  local_port_in_use: both(
    '本机端口 {port} 已被占用，无法从它转发。',
    '换一个端口，或结束占用它的程序；也许编辑器已经转发了它。',
  ),
  remote_forwarding_refused: both(
    '服务器不为本机监听（-R {port}）。',
    '换一个端口，或查看环境允许转发什么：berth show NAME',
  ),
  no_terminal: both(
    '服务器没有分配终端。',
    '检查登录证书是否允许终端，以及环境内存是否不足：berth diagnose NAME',
  ),
  no_subsystem: both(
    '服务器没有所请求的子系统，例如 sftp。',
    '打开 sftp：berth set NAME --forwarding sftp。或用旧协议复制：scp -O',
  ),

  connection_lost: both(
    '连接建立后断开了：{reason}',
    '如果当时空闲，可能是途中的 NAT 或防火墙忘记了它：在 ~/.ssh/config 中设置 ServerAliveInterval 30。如果是电脑休眠过，重新连接即可；tmux 会保留运行中的程序。',
  ),
  ended_by_server: both('服务器断开了连接。', '环境可能被停止，或内存用尽：berth events NAME'),
  disconnected: both('服务器断开了连接，并说明：{reason}', '照它说的做；否则查看：berth diagnose NAME'),

  logged_in: only('登录成功（{method}）。'),
};
