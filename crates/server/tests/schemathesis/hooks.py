import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    # A key that came before with another request is refused, which no schema can say.
    if case.meta.generation.mode.is_positive and case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
