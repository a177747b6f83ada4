# How numbers and times are written.
number = { $number }
months = Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec

# Around every page.
skip-to-content = Skip to content
nav-label = Main menu
nav-home = Home
nav-send = Send
nav-campaigns = Campaigns
nav-notices = Notices
nav-customers = Customers
nav-numbers = WhatsApp
nav-log = Log
nav-access = Access

# Errors.
error-title = This page cannot be shown
error-back = Back to home
error-not-found = Nothing is at this address. Check the address, or choose from the menu.
error-for-senders = You may only look. Ask an admin to make you a sender.
error-for-admins = Only an admin may do this. Ask one to do it for you.
error-forged = This form is no longer valid. Load the page again and repeat it. Nothing was changed.
error-too-large = The form is too large. Send it in several parts.

# Home.
home-title = Home
home-empty = Nothing is here yet.

# States of deliveries.


# WhatsApp numbers.


# Send.


# Campaigns.


# Notices.


# Customers and ODPs.


# Import from CSV.


# Login.
login-title = Log in
login-name = User name
login-password = Password
login-submit = Log in
login-wrong = The name or the password is wrong. Check both, then try again.
login-wait = Too many wrong attempts. Wait { $seconds } seconds, then try again.
login-busy = The server is checking many passwords. Wait a moment, then try again.
login-forgotten = Forgot the password? Ask an admin for a new one on the Access page, or on the server: kabari user password NAME
log-out = Log out
no-users = There are no users yet.
no-users-add = Add a user
error-no-users = There are no users yet, so this page is closed from here. Add the first one on the server: kabari user add NAME. Then load this page again and log in.

# One's own account.
account-title = My account
account-who = You are logged in as { $name }.
account-browsers = Where you are logged in
account-browser = Logged in { $began } from { $address }
account-seen = Last used { $time }
account-this = This device
account-end = Log out there
account-end-others = Log out everywhere else
account-password = Change password
password-current = Current password
password-new = New password
password-again = New password again
password-hint = At least { $characters } characters. A few unrelated words are easy to remember and hard to guess.
password-differs = The two new passwords differ. Type them again.
password-too-short = The password is too short. Use at least { $characters } characters.
password-too-long = The password is too long. Use a shorter one.
password-is-name = The password must not be the user name.
password-wrong = The current password is wrong. Type it again.
password-changed = The password is changed. Other devices have to log in again.
role-viewer = Viewer
role-viewer-hint = Looks only
role-sender = Sender
role-sender-hint = Looks, sends, and controls campaigns
role-admin = Admin
role-admin-hint = Everything, WhatsApp numbers, users and keys too

# Users and keys.
access-title = Access
access-users = Users
access-first = The first user has to be an admin. From then on everybody has to log in, on this machine too.
access-you = You
access-never = never
access-last-login = Last login: { $time }
access-add-user = Add a user
access-name = Name
access-name-hint = Lower case letters, digits, dots, underscores and hyphens, at most 64
access-name-taken = This name is taken. Choose another one.
access-role = Role
access-added = Added
access-login = Last login
access-password-set = Password set
access-browsers = Logged in on devices
access-self = This is your own account. Another admin can change your role.
access-change-role = Change role
access-change-password = Set a new password
access-ends-logins = The user has to log in again afterwards.
access-remove = Remove user
access-remove-confirm = Yes, remove { $name } and log out everywhere.
access-keys = API keys
access-keys-hint = Every program gets a key of its own, good for what it needs and no more. Keys can be revoked at any time.
access-add-key = Make a key
access-scope = What it is good for
scope-read = Reads only
scope-send = Reads, sends, and controls campaigns
scope-whatsapp = Reads, links and controls WhatsApp numbers
scope-admin = Everything
access-key-made = Made { $time } by { $name }
access-key-used = Last used: { $time }
access-revoked = Revoked { $time }
access-revoke = Revoke
access-revoke-confirm = Programs that use { $name } are refused at once. A revoked key cannot be brought back.
access-key-title = New key
access-key-once = Copy this key now. It is shown this once.
access-key-header = Programs send it in the header

# Log.
log-title = Log
log-empty = Nothing in the log fits.
log-time = Time
log-actor = By
log-action = Action
log-subject = On
log-by = By (name of a user or a key)
log-all = All
log-filter = Show
log-pages = Pages of the log
log-newest = Newest
log-older = Older
log-csv = Download CSV
actor-key = key { $name }
actor-local = this machine
actor-console = command line ({ $name })
actor-stranger = not logged in
action-send = Sent
action-pause-campaign = Paused a campaign
action-resume-campaign = Resumed a campaign
action-cancel-campaign = Cancelled a campaign
action-retry-campaign = Sent again to the failed ones
action-resolve-delivery = Decided about an uncertain message
action-create-session = Added a WhatsApp number
action-change-session = Changed the settings of a number
action-delete-session = Removed a WhatsApp number
action-pair-session = Asked for a code to link with
action-answer-passkey = Answered a passkey request
action-confirm-passkey = Confirmed a passkey code
action-restart-session = Reconnected a number
action-logout-session = Unlinked a number
action-pause-session = Paused a number
action-resume-session = Resumed a number
action-log-in = Logged in
action-fail-log-in = Failed to log in
action-log-out = Logged out
action-add-user = Added a user
action-remove-user = Removed a user
action-change-role = Changed a role
action-change-password = Changed a password
action-add-key = Made a key
action-revoke-key = Revoked a key
