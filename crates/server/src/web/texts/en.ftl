# How numbers and times are written.
number = { $number }
months = Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec

# Around every page.
skip-to-content = Skip to content
page-stale = This page may be out of date: kabari or its database does not answer. The page keeps trying.
nav-label = Main menu
nav-home = Home
nav-send = Send
nav-campaigns = Campaigns
nav-notices = Notices
nav-customers = Customers
nav-numbers = WhatsApp
nav-log = Log
nav-access = Access

pages-label = Parts of the list
pages-first = From the start
pages-next = Next
curl-title = Do the same by API (curl)
curl-copy = Copy
curl-copied = Copied

search-button = Search
save = Save
curl-section = By API

# Errors.
error-title = This page cannot be shown
error-back = Back to home
error-not-found = Nothing is at this address. Check the address, or choose from the menu.
error-draft-gone = This message in preparation is gone: it is kept for a day. Begin again from Send.
error-for-senders = You may only look. Ask an admin to make you a sender.
error-for-admins = Only an admin may do this. Ask one to do it for you.
error-forged = This form is no longer valid. Load the page again and repeat it. Nothing was changed.
error-too-large = The form is too large. Send it in several parts.

# Home.
home-title = Home
home-first-title = The first three steps
home-first-link = Link WhatsApp on the phone that is to send.
home-first-link-go = Link it now
home-first-customers = See whether your customers and ODPs can be read.
home-first-customers-go = See the customers
home-first-send = Send a test to your own number, from the page Send.
home-numbers = WhatsApp numbers
home-all-numbers = All { $count } numbers
home-campaigns = Under way
home-campaign-done = { $done } of { $total } done
home-campaign-eta = ends about { $time }
home-campaign-waits = Waits: { $what }.
home-scheduled = Scheduled
home-running = Running
home-paused = Paused
home-paused-by-breaker = Stopped after many failures
home-setbacks = To be looked at
home-uncertain = { $count } uncertain: decide whether to send again.
home-failed = { $count } failed: see why, then retry those.
home-notices = Active outages and maintenance
home-no-notices = No outage is active.
home-no-notices-hint = As soon as one is written down in the billing database, it is here.
home-notice-concerned = customers concerned
home-notice-told = told
home-notice-send = Send the notice

# States of deliveries.
state-queued = Waiting
state-sent = Sent
state-delivered = Delivered
state-read = Read
state-failed = Failed
state-skipped = Skipped
state-uncertain = Uncertain


# WhatsApp numbers.
numbers-title = WhatsApp numbers
numbers-all = All numbers
numbers-add = Add a number
numbers-name = Name of the number
numbers-name-hint = Lower case letters, digits, - and _; such as office. The name { $example } is taken.
number-title = Number { $name }
number-back = Back to this number
number-ready = Ready to send
number-passkey = Waits for the passkey
number-passkey-advice = WhatsApp wants the passkey of this account. Follow the steps on the number's page.
number-unreachable = The gateway does not answer
number-unreachable-advice = Make sure that the gateway runs, then check WA_GATEWAY_URL.
number-connecting = Connecting
number-connecting-advice = The phone is linked; WhatsApp is being connected.
number-disconnected = Disconnected
number-disconnected-advice = kabari connects again by itself. If it takes long, check this server's internet.
number-unlinked = Not linked
number-unlinked-advice = Link the phone on the number's page. Messages wait until then.
number-replaced = Opened elsewhere
number-replaced-advice = Close the other one, then restart this number.
number-banned = Banned by WhatsApp
number-banned-advice = Ends { $until }. Do not link it again; send slower afterwards.
number-outdated = kabari must be updated
number-outdated-advice = WhatsApp refuses this version. Update kabari.
number-paused = Paused
number-paused-advice = This number sends nothing until you resume it.
number-quiet = Quiet hours
number-quiet-advice = Usual messages wait until { $until }; urgent ones go out.
number-cap = Today's quota is used up
number-cap-advice = Goes on { $until }.
number-reach-out = Limit for new chats
number-reach-out-advice = Until { $until } WhatsApp takes messages only for people who have written to this number.
number-waiting-since = Sends nothing since { $time }
number-linked-since = Linked since { $time }
number-sent-today = sent today
number-left-today = left of today's quota
number-no-cap = no daily limit
number-use = Use
number-contacts = People who have written to this number
number-linked-at = Linked since
number-history = Chat history from the phone
number-today = Messages today
number-today-none = No messages yet today.
number-today-label = { $total } messages today; most of them at { $hour }: { $most }.
number-actions = Actions
number-pause = Pause
number-resume = Resume
number-restart = Restart
number-logout = Unlink the phone
number-remove = Remove the number
number-keep = Cancel
number-done-added = The number is added. Link its phone now.
number-done-removed = The number is removed.
number-done-restarting = WhatsApp is being restarted.
number-done-paused = The number is paused. Nothing goes out from it.
number-done-resumed = The number sends again.
number-done-logged-out = The phone is unlinked. A new QR follows.
number-done-changed = The pace is saved.
number-done-answered = Taken. WhatsApp goes on.
number-done-failed = That did not work. Look at what is shown, then try again.
link-title = Link to WhatsApp
link-connected = connected; messages can be sent
link-reason = The reason
link-for-admins = Only an admin can link a phone.
link-step-open = Open WhatsApp on the phone that is to send.
link-step-menu = Open Settings (iPhone) or the ⋮ menu (Android), then Linked devices.
link-step-scan = Tap Link a device, and point the camera at this code.
link-qr = QR code to scan with WhatsApp
link-qr-renewed = The code renews itself; there is no need to reload.
link-qr-wait = The QR code is being prepared…
link-code-title = No camera: link with a code
link-code-phone = WhatsApp number of that phone
link-code-hint = Such as 0812 3456 7801.
link-code-button = Get a code
link-code-type = On the phone: Linked devices, Link a device, Link with phone number. Type this code there; it holds for a few minutes.
link-code-none = There is no code. Check the number, then try again.
passkey-until = Holds until { $time }.
passkey-why = This account is protected by a passkey: a key that your phone or computer keeps, unlocked by fingerprint, face or PIN. Only a browser that can use that key can answer, and only on WhatsApp's own page.
passkey-open = On a computer, open WhatsApp's page; you need not log in there:
passkey-console = Open the console of that page: press F12 (on a Mac: Option+Command+J), then the tab Console. If Chrome wants it, type allow pasting first.
passkey-snippet = Copy this script, paste it into the console, and press Enter.
passkey-promise = The script asks the browser to answer with the passkey, and shows the answer in the console. It sends nothing anywhere.
passkey-read = The script
passkey-copy = Copy the script
passkey-copied = Copied
passkey-choose = Choose the passkey that the browser offers. If it is on the phone only, choose to use a phone, and scan the browser's QR code with that phone's camera; Bluetooth must be on at both.
passkey-paste = Paste here the line that the console shows, from its opening to its closing brace
passkey-send = Send the answer
passkey-check = WhatsApp looks at the answer. A code will appear here and on the phone…
passkey-compare = Compare this code with the one on the phone:
passkey-same = The same, go on
passkey-different = Another, stop
passkey-finish = Confirmed. Finish on the phone as well; this page waits.
passkey-elsewhere = A gateway in another process has this number, and cannot be given a passkey from here. Run kabari serve without WA_GATEWAY_URL on the gateway's DATA_DIR, link there, then run the gateway again.
pace-title = Pace and limits
pace-why = A slow pace keeps the number from being banned. What is empty follows the server's settings.
pace-delay = Pause between messages (seconds)
pace-jitter = At most so much more, at random (seconds)
pace-cap = At most a day
pace-usual = Empty: { $usual }
pace-save = Save the pace
pace-fault = Write seconds from 0 to 3600, and the daily limit as a whole number. Nothing was changed.
logout-title = Unlink the phone of { $name }?
logout-consequence = This number cannot send until a phone is linked again. Messages that are not sent wait.
remove-title = Remove the number { $name }?
remove-consequence = Its phone is unlinked and the number is gone from kabari. Reports stay. Messages that were not yet answered become uncertain.

# Send.
send-title = Send a message
send-steps = Steps
send-step-what = What
send-step-to = To whom
send-step-check = Check
send-what = What is sent?
send-no-notices = No outage or maintenance is active.
send-own-text = A text of your own
send-own-text-hint = For other news, such as a bill or a holiday.
send-text = Text of the message
send-text-hint = The customer's name, ODP and id are filled in for {"{nama}"}, {"{odp}"} and {"{id}"}. *bold*, _italic_, ~struck out~.
send-preview = What the customer reads
send-preview-for = As { $name } will get it.
send-preview-empty = Write a text to see it here.
send-preview-nobody = There is no active customer with a usable number yet.
send-next-to = Next: to whom
send-next-check = Next: check
send-back = Back
send-to = To whom?
send-to-concerned = Those whom this outage concerns ({ $count })
send-to-everybody = All active customers ({ $count })
send-to-odps = ODPs of your choice
send-to-customers = Customers of your choice
send-to-numbers = Pasted numbers
send-no-odps = There are no ODPs: the customers' column odp is empty.
send-odp-filter = Filter the ODPs
send-odp-count = { $count } customers
send-search = Search a name or number
send-search-button = Search
send-search-none = No active customer matches.
send-search-more = There are more: write more of it.
send-numbers = Phone numbers
send-numbers-hint = One a line, or with commas between them. Those that cannot be used are skipped and named.
send-lacks-text = There is nothing to send: choose an outage or write a text.
send-lacks-recipients = There is nobody to send to: choose at least one.
send-lacks-names = This text has a place for a name, ODP or id, but pasted numbers have none. Choose customers, or change the text.
check-recipients = Recipients
check-change-to = Change the recipients
check-get-it = will get it
check-skipped = skipped
check-warm = have written to you
check-cold = never have
check-cold-hint = WhatsApp limits messages to people who have never written to your number. Send slowly, and ask customers to save your number.
check-invalid-number = without a usable number
check-duplicate-number = with the number of another recipient
check-text-too-long = with a text that is too long
check-changed = The recipients have changed since you looked: there were { $before }, now there are { $now }. Nothing was sent; look again.
check-message = Message
check-time = Time
check-ends-at = If it is sent now, it ends about { $time }.
check-ends-unknown = When it ends cannot be told.
check-quota = Today's quota has { $left } left: the rest goes out on the following days.
check-quiet = It is quiet hours now: messages wait until { $time } unless they are urgent.
check-quiet-urgent = It is quiet hours until { $time }; since it is urgent, this one goes out.
check-urgent = Make it urgent
check-urgent-hint = Goes out before others, also in quiet hours.
check-is-urgent = Urgent: before others, also in quiet hours.
check-not-urgent = Not urgent
test-title = A test to your own number first
test-number = Your WhatsApp number
test-send = Send the test
test-under-way = The test is on its way…
test-bad-number = This number cannot be read. Write it as 0812 3456 7801.
check-final = Send
check-sent = This message has been sent.
check-sent-see = See its campaign
check-nobody = There is nobody whom it can be sent to.
check-unlinked = No phone is linked: messages cannot be sent.
check-duplicate = The same message was sent to the same recipients a moment ago.
check-send = Send to { $count } customers
check-send-again = Send once more to { $count } customers

# Campaigns.
campaigns-title = Campaigns
campaigns-empty = Nothing has been sent yet.
campaigns-send = Send the first message
campaign-scheduled = Scheduled
campaign-running = Running
campaign-paused = Paused
campaign-stopped = Stopped after many failures
campaign-completed = Completed
campaign-cancelled = Cancelled
campaign-kind-notification = Notice
campaign-kind-custom = Message to customers
campaign-kind-by-odp = To one ODP
campaign-kind-phone = To one number
campaign-kind-numbers = To several numbers
campaign-kind-restored = Restored
campaign-recipients-count = { $count ->
    [one] 1 recipient
   *[other] { $count } recipients
}
campaign-state = State
campaign-speed = { $speed } messages a minute
campaign-eta = done at about { $time }
campaign-finished = done at { $time }
campaign-breaker = Many messages failed in a row, so kabari stopped. See why at the failed recipients, then resume when it is put right.
campaign-pause = Pause
campaign-resume = Resume
campaign-cancel = Cancel…
campaign-retry = Retry { $count } failed
campaign-cancel-title = Cancel this campaign?
campaign-cancel-consequence = { $open } messages are not sent yet and never will be. { $sent } messages are sent and cannot be taken back.
campaign-cancel-yes = Yes, cancel it
campaign-cancel-no = No, go back
campaign-chart = Over time
campaign-chart-none = No message is sent yet.
campaign-chart-label = From { $begins } to { $ends }: { $sent } sent, { $delivered } delivered, { $read } read.
campaign-recipients = Recipients
campaign-csv = Download CSV
campaign-about = About this campaign
campaign-number = Number
campaign-kind = Kind
campaign-urgent = urgent
campaign-created = Made
campaign-starts = Starts
campaign-expires = Valid until
campaign-numbers = Sent from
campaign-notice = Notice
campaign-notice-open = See the notice
campaign-repeats = Repeats
campaign-repeats-open = Campaign { $id }
campaign-text = Message
recipients-state = State
recipients-all = All
recipients-search = Search name or number
recipients-none = No recipient matches.
recipients-name = Name
recipients-number = Number
recipients-outcome = Outcome
recipients-when = Time
recipients-nameless = no name
uncertain-title = { $count ->
    [one] 1 message is uncertain
   *[other] { $count } messages are uncertain
}
uncertain-explanation = The message was sent, but WhatsApp did not answer. Look at the chat on the sending phone: if the message is there, count it as sent; if not, send it again.
uncertain-one-by-one = Decide one by one
uncertain-all-sent = Count all as sent
uncertain-all-again = Send all again
uncertain-sent = Count as sent
uncertain-again = Send again


# Notices.
notices-title = Outages and maintenance
notices-none = There is no outage or maintenance yet.
notices-none-hint = As soon as one is written down in the billing database, it is here.
notice-new = Write a new notice
notice-edit = Change
notice-close = Close the notice
notice-elsewhere = This notice is in your billing database. Change or close it there.
notice-title = Title
notice-message = Explanation for customers
notice-message-hint = { "{nama}" } becomes the customer's name, { "{odp}" } their ODP.
notice-kind = Kind
notice-kind-outage = Outage
notice-kind-maintenance = Maintenance
notice-severity = Severity
severity-low = low
severity-medium = medium
severity-high = high
severity-critical = critical
notice-start = Start
notice-end = Expected end
notice-area = Affected area
notice-audience = For whom
notice-everybody = All active customers
notice-nobody = Nobody: its list of ODPs is empty
notice-odps = Only customers on these ODPs
notice-customers = { $count ->
    [one] 1 active customer
   *[other] { $count } active customers
}
notice-still-active = This notice still applies
notice-fault-text = Write a title and an explanation.
notice-fault-audience = Choose all customers, or tick at least one ODP.
notice-fault-end = The expected end must be after the start.
notice-active = Active
notice-closed = Over
notice-about = About this notice
notice-text = Message to customers
notice-told = numbers told
notice-written = Written
notice-send = Send the notice
notice-restored = Tell that it is over
notice-sent = What was sent
notice-sent-none = Nothing has been sent for this notice yet.
restored-title = Tell that it is over
restored-whom = { $count ->
    [one] This message goes to 1 number: exactly the one who got the message about this notice, whatever the billing database says now.
   *[other] This message goes to { $count } numbers: exactly those who got the message about this notice, whatever the billing database says now.
}
restored-nobody = Nobody got a message about this notice.
restored-nobody-hint = So nobody needs to be told that it is over.
restored-text = Message
restored-placeholders = { "{nama}" } becomes the recipient's name.
restored-preview = What the first recipient sees
restored-send = { $count ->
    [one] Send to 1 number
   *[other] Send to { $count } numbers
}
restored-no-text = Write the message first.
restored-too-long = This message is too long for WhatsApp.
restored-no-odp = Write the message without { "{odp}" }: the ODPs that recipients were on are not kept.
restored-changed = The number of recipients is { $count } now, another than when this page was opened. Nothing was sent. Check, then send again.
restored-sent-before = The same message was just sent to the same recipients. Nothing was sent again.
restored-see-campaign = See the campaign
restored-waiting = { $count } messages about this notice still wait to be sent. Cancel them first, or their recipients hear of the outage and not of its end.
restored-uncertain = { $count } messages about this notice are uncertain, and their recipients are not told. Decide about them first.
restored-told = That this notice is over was told { $time }.


# Customers and ODPs.
customers-title = Customers
customers-back = All customers
customers-summary = Who can be reached
customers-summary-count = Count now
summary-customers = active customers
summary-numbers = numbers that can be used
summary-warm = have written to you ({ $warm } numbers)
summary-broken = broken numbers
customers-search = Search name or number
customers-odp = ODP
customers-show = Show
customers-active = Active ones
customers-all = All
customers-broken = Broken numbers
customers-none = No customer matches.
customers-name = Name
customers-number = WhatsApp number
customers-last = Last message
customers-never = Never sent anything
customer-inactive = Not active
customer-active = Active
customer-warm = has written
customer-broken = broken number
customer-facts = About the customer
customer-id = Customer id
customer-status = Status
customer-gone = This customer is no longer in the billing database.
customer-change = Change
customer-nameless = Write a name.
customer-sent = Messages sent
phone-fault-empty = There is no number.
phone-fault-letters = There are letters in the number.
phone-fault-short = The number is too short.
phone-fault-long = The number is too long; perhaps these are two.
phone-fault-unknown = There is no such number. Check how it begins.
odps-title = ODPs
odps-none = No active customer is on an ODP.
odps-customers = Active customers


# Import from CSV.
import-title = Import customers
import-explanation = Choose a CSV file, or copy the table from Excel or Google Sheets and paste it. You see what would happen first; nothing is kept yet.
import-file = CSV file
import-paste = Or paste the table here
import-check = Check
import-check-again = Check again
import-other = Choose another table
import-do = { $count ->
    [one] Import 1 customer
   *[other] Import { $count } customers
}
import-done = Imported: { $added } new customers, { $updated } changed.
import-empty = The table is empty. Choose a file or paste the table.
import-delimiter = Between columns
delimiter-comma = comma ,
delimiter-semicolon = semicolon ;
delimiter-tab = tab
delimiter-bar = bar |
import-heading = First line
import-heading-yes = names the columns
import-heading-no = is a customer already
import-preview = First lines of the table
import-line = Line
import-column = Column { $number }
import-column-ignored = ignore
import-column-id = Customer id
import-column-active = Active or not
import-faults = { $count ->
    [one] 1 fault. While there is one, nothing is imported.
   *[other] { $count } faults. While there are any, nothing is imported.
}
import-at-line = Line { $line }: { $fault }
import-fault-columns = Say which columns are the name and the WhatsApp number.
import-fault-twice = Two columns are said to be the same. Choose one.
import-fault-name = the name is empty.
import-fault-id = the customer id must be a whole number above 0.
import-fault-active = active or not? Write yes or no.
import-conflict-id = an earlier line has the same id.
import-conflict-customer = an earlier line is the same customer.
import-conflict-number = several customers have this number. Add a column of ids.
import-outlook = There will be { $added } new customers and { $updated } changed ones; { $unchanged } stay as they are.
import-by-id = Known customers are recognized by their ids.
import-by-number = Known customers are recognized by their WhatsApp numbers; where a number is shared, by the name as well.
import-unusable = { $count } customers have no number that can be used. They are imported, but cannot be told anything.


# Login.


# Users and keys.


# Log.

