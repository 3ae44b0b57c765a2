package dashcam;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.core.CheckedFunction;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.ToXContent;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xpack.core.ilm.DeleteAction;
import org.elasticsearch.xpack.core.ilm.ForceMergeAction;
import org.elasticsearch.xpack.core.ilm.LifecycleAction;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicy;
import org.elasticsearch.xpack.core.ilm.LifecycleType;
import org.elasticsearch.xpack.core.ilm.ReadOnlyAction;
import org.elasticsearch.xpack.core.ilm.RolloverAction;
import org.elasticsearch.xpack.core.ilm.SetPriorityAction;
import org.elasticsearch.xpack.core.ilm.ShrinkAction;
import org.elasticsearch.xpack.core.ilm.TimeseriesLifecycleType;

/** `PUT` and `GET /_ilm/policy/{name}`: a policy is read and validated as the real one is, and kept in memory. */
final class LifecyclePolicies extends BaseRestHandler {
  private final Map<String, LifecyclePolicy> policies = new ConcurrentHashMap<>();

  static List<NamedXContentRegistry.Entry> parts() {
    return List.of(
        new NamedXContentRegistry.Entry(
            LifecycleType.class,
            new ParseField(TimeseriesLifecycleType.TYPE),
            parser -> TimeseriesLifecycleType.INSTANCE),
        action(RolloverAction.NAME, RolloverAction::parse),
        action(SetPriorityAction.NAME, SetPriorityAction::parse),
        action(DeleteAction.NAME, DeleteAction::parse),
        action(ForceMergeAction.NAME, ForceMergeAction::parse),
        action(ReadOnlyAction.NAME, ReadOnlyAction::parse),
        action(ShrinkAction.NAME, ShrinkAction::parse));
  }

  private static NamedXContentRegistry.Entry action(
      String name, CheckedFunction<XContentParser, LifecycleAction, IOException> parse) {
    return new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(name), parse);
  }

  @Override
  public String getName() {
    return "dashcam_lifecycle_policies";
  }

  @Override
  public List<Route> routes() {
    return List.of(
        new Route(RestRequest.Method.PUT, "/_ilm/policy/{name}"),
        new Route(RestRequest.Method.GET, "/_ilm/policy/{name}"));
  }

  @Override
  protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) throws IOException {
    String name = request.param("name");
    if (request.method() == RestRequest.Method.PUT) {
      LifecyclePolicy.validatePolicyName(name);
      LifecyclePolicy policy;
      try (XContentParser parser = request.contentParser()) {
        // As the real request: {"policy": {...}}.
        parser.nextToken();
        parser.nextToken();
        if ("policy".equals(parser.currentName()) == false) {
          throw new IllegalArgumentException("[policy] expected, got [" + parser.currentName() + "]");
        }
        parser.nextToken();
        policy = LifecyclePolicy.parse(parser, name);
      }
      policy.validate();
      policies.put(name, policy);
      return channel -> {
        XContentBuilder answer = channel.newBuilder().startObject().field("acknowledged", true).endObject();
        channel.sendResponse(new RestResponse(RestStatus.OK, answer));
      };
    }
    LifecyclePolicy policy = policies.get(name);
    if (policy == null) {
      throw new ResourceNotFoundException("Lifecycle policy not found: " + name);
    }
    return channel -> {
      XContentBuilder answer = channel.newBuilder().startObject().startObject(name).field("policy");
      policy.toXContent(answer, ToXContent.EMPTY_PARAMS).endObject().endObject();
      channel.sendResponse(new RestResponse(RestStatus.OK, answer));
    };
  }
}
